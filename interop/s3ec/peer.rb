# The Amazon S3 Encryption Client for Ruby, in its versions 1 and 2, as a peer.
#
# Reads one command a line and answers it with one line, both JSON objects; a command that fails is
# answered `{"error": TEXT}`. The first command is `start`.

require "aws-sdk-kms"
require "aws-sdk-s3"
require "digest"
require "json"
require "openssl"
require "stringio"

FORMS = %w[v1\ aes v1\ rsa v2-cbc\ kms v2\ kms v2\ aes v2\ rsa].product(%w[metadata file])
  .map { |form| form.join(" ") }
CAPABILITIES = { writes: FORMS, reads: FORMS, multipart: false }
SCHEMES = { "kms" => :kms_context, "aes" => :aes_gcm, "rsa" => :rsa_oaep_sha1 }

PLAINTEXTS = Hash.new do |made, length|
  made[length] = Array.new(length) { |i| (i ^ i >> 8 ^ i >> 16) & 255 }.pack("C*")
end

# Gives the wrapping key for just one description, and another key for any other.
class DescribedKey
  Materials = Aws::S3::Encryption::Materials

  def initialize(key, description, other)
    @materials = Materials.new(key: key, description: JSON.dump(description))
    @description = description
    @other = other
  end

  def encryption_materials = @materials

  def key_for(description)
    JSON.parse(description) == @description ? @materials.key : @other
  end
end

class Peer
  def start(command)
    settings = {
      endpoint: command["endpoint"],
      region: "us-east-1",
      credentials: Aws::Credentials.new("testkey", "testsecret"),
    }
    @s3 = Aws::S3::Client.new(**settings, force_path_style: true)
    @kms = Aws::KMS::Client.new(**settings)
    @kms_key_id = command["kms_key_id"]
    @keys = {
      "aes" => [command["aes"]].pack("H*"),
      "rsa" => OpenSSL::PKey::RSA.new(command["rsa"]),
    }
    @others = {
      "aes" => OpenSSL::Random.random_bytes(32),
      "rsa" => OpenSSL::PKey::RSA.new(2048),
    }
    CAPABILITIES
  end

  def wrapping(command)
    wrap = command["wrap"]
    return { kms_key_id: @kms_key_id, kms_client: @kms } if wrap == "kms"

    { key_provider: DescribedKey.new(@keys[wrap], command["description"], @others[wrap]) }
  end

  def first_version(command, **options)
    Aws::S3::Encryption::Client.new(client: @s3, **wrapping(command), **options)
  end

  def second_version(command, security_profile, **options)
    Aws::S3::EncryptionV2::Client.new(
      client: @s3, key_wrap_schema: SCHEMES[command["wrap"]], security_profile: security_profile,
      content_encryption_schema: :aes_gcm_no_padding, **wrapping(command), **options
    )
  end

  def context(command)
    command["wrap"] == "kms" ? { kms_encryption_context: command["context"] } : {}
  end

  def write(command)
    place = { envelope_location: command["instruction_file"] ? :instruction_file : :metadata }
    object = {
      bucket: command["bucket"], key: command["key"], body: StringIO.new(PLAINTEXTS[command["length"]])
    }
    if command["format"] == "v2"
      second_version(command, :v2, **place).put_object(**object, **context(command))
    else
      first_version(command, **place).put_object(object)
    end
    {}
  end

  def read(command)
    client = second_version(command, command["legacy"] ? :v2_and_legacy : :v2)
    object = { bucket: command["bucket"], key: command["key"], **context(command) }
    object[:instruction_file_suffix] = command["suffix"] if command["suffix"]
    # Debian's KMS client is older than the key id in its Decrypt, which this leaves out.
    object[:kms_allow_decrypt_with_any_cmk] = true if command["wrap"] == "kms"
    opened = client.get_object(object).body.read
    { length: opened.bytesize, sha256: Digest::SHA256.hexdigest(opened) }
  end
end

peer = Peer.new
$stdin.each_line do |line|
  command = JSON.parse(line)
  answer =
    begin
      case command["command"]
      when "start" then peer.start(command)
      when "write" then peer.write(command)
      when "read" then peer.read(command)
      else { error: "no command #{command["command"]}" }
      end
    rescue StandardError => error # whatever it is, the other side judges it
      { error: "#{error.class}: #{error.message}" }
    end
  puts JSON.dump(answer)
  $stdout.flush
end
