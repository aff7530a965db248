package interop;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import software.amazon.awssdk.awscore.AwsRequestOverrideConfiguration;
import software.amazon.awssdk.core.ResponseBytes;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.core.sync.ResponseTransformer;
import software.amazon.awssdk.protocols.jsoncore.JsonNode;
import software.amazon.awssdk.protocols.jsoncore.JsonWriter;
import software.amazon.awssdk.services.s3.model.CompletedPart;
import software.amazon.awssdk.services.s3.model.GetObjectRequest;
import software.amazon.awssdk.services.s3.model.GetObjectResponse;
import software.amazon.awssdk.services.s3.model.SdkPartType;
import software.amazon.encryption.s3.S3EncryptionClient;
import software.amazon.encryption.s3.internal.ReEncryptInstructionFileRequest;

/**
 * The Amazon S3 Encryption Client for Java as a peer.
 *
 * <p>Reads one command a line and answers it with one line, both JSON objects; a command that fails
 * is answered {@code {"error": TEXT}}. The first command is {@code start}.
 */
public final class Peer {
    private static final int PART_SIZE = 5 << 20;
    private static final String[] WRAPS = {"kms", "aes", "rsa"};
    private static final String[] PLACES = {"metadata", "file"};

    private Clients clients;

    private Peer() {}

    /** Answers commands until there are no more. */
    public static void main(String[] arguments) throws IOException {
        BufferedReader commands =
                new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream answers = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        Peer peer = new Peer();
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            answers.println(peer.answer(new Command(JsonNode.parser().parse(line))));
        }
        // The HTTP clients' threads would keep the process alive.
        System.exit(0);
    }

    private String answer(Command command) {
        JsonWriter answer = JsonWriter.create().writeStartObject();
        try {
            switch (command.text("command")) {
                case "start" -> start(command, answer);
                case "write" -> write(command);
                case "read" -> read(command, answer);
                case "reencrypt_instruction_file" -> reencrypt(command);
                default -> throw new IllegalArgumentException("no such command");
            }
        } catch (Exception error) { // whatever it is, the other side judges it
            answer = JsonWriter.create().writeStartObject();
            answer.writeFieldName("error").writeValue(withCauses(error));
        }
        return new String(answer.writeEndObject().getBytes(), StandardCharsets.UTF_8);
    }

    private void start(Command command, JsonWriter answer) throws Exception {
        clients = new Clients(command);
        List<String> writes = forms("v2", "v3");
        List<String> reads = forms("v2", "v3");
        for (String place : PLACES) {
            reads.addAll(
                    List.of("v1 aes " + place, "v1 rsa " + place, "v2-cbc kms " + place));
        }
        list(answer.writeFieldName("writes"), writes);
        list(answer.writeFieldName("reads"), reads);
        answer.writeFieldName("multipart").writeValue(true);
    }

    private static List<String> forms(String... formats) {
        List<String> forms = new ArrayList<>();
        for (String format : formats) {
            for (String wrap : WRAPS) {
                for (String place : PLACES) {
                    forms.add(String.join(" ", format, wrap, place));
                }
            }
        }
        return forms;
    }

    private static void list(JsonWriter answer, List<String> values) {
        answer.writeStartArray();
        values.forEach(answer::writeValue);
        answer.writeEndArray();
    }

    private void write(Command command) throws Exception {
        S3EncryptionClient client =
                clients.writer(
                        command.text("format"),
                        command.flag("instruction_file"),
                        clients.keys.main(command));
        byte[] body = plaintext(command.number("length"));
        if (command.flag("multipart")) {
            upload(client, command, body);
            return;
        }
        client.putObject(
                request ->
                        request.bucket(command.text("bucket"))
                                .key(command.text("key"))
                                .overrideConfiguration(context(command)),
                RequestBody.fromBytes(body));
    }

    private static void upload(S3EncryptionClient client, Command command, byte[] body) {
        String bucket = command.text("bucket");
        String key = command.text("key");
        String upload =
                client.createMultipartUpload(
                                request ->
                                        request.bucket(bucket)
                                                .key(key)
                                                .overrideConfiguration(context(command)))
                        .uploadId();
        List<CompletedPart> parts = new ArrayList<>();
        for (int start = 0; start < body.length; start += PART_SIZE) {
            int end = Math.min(start + PART_SIZE, body.length);
            int number = parts.size() + 1;
            SdkPartType type = end == body.length ? SdkPartType.LAST : SdkPartType.DEFAULT;
            String tag =
                    client.uploadPart(
                                    request ->
                                            request.bucket(bucket)
                                                    .key(key)
                                                    .uploadId(upload)
                                                    .partNumber(number)
                                                    .sdkPartType(type),
                                    RequestBody.fromBytes(Arrays.copyOfRange(body, start, end)))
                            .eTag();
            parts.add(CompletedPart.builder().partNumber(number).eTag(tag).build());
        }
        client.completeMultipartUpload(
                request ->
                        request.bucket(bucket)
                                .key(key)
                                .uploadId(upload)
                                .multipartUpload(completed -> completed.parts(parts)));
    }

    private void read(Command command, JsonWriter answer) throws Exception {
        S3EncryptionClient client =
                clients.reader(
                        command.flag("committed_only"),
                        command.flag("legacy"),
                        clients.keys.byDescription(command));
        GetObjectRequest.Builder request =
                GetObjectRequest.builder()
                        .bucket(command.text("bucket"))
                        .key(command.text("key"));
        command.optional("range").ifPresent(request::range);
        command.optional("suffix")
                .ifPresentOrElse(
                        suffix ->
                                request.overrideConfiguration(
                                        S3EncryptionClient.withCustomInstructionFileSuffix(suffix)),
                        () -> request.overrideConfiguration(context(command)));
        ResponseBytes<GetObjectResponse> opened =
                client.getObject(request.build(), ResponseTransformer.toBytes());
        byte[] body = opened.asByteArrayUnsafe();
        byte[] digest = MessageDigest.getInstance("SHA-256").digest(body);
        answer.writeFieldName("length").writeValue(body.length);
        answer.writeFieldName("sha256").writeValue(HexFormat.of().formatHex(digest));
    }

    private void reencrypt(Command command) throws Exception {
        ReEncryptInstructionFileRequest.Builder request =
                ReEncryptInstructionFileRequest.builder()
                        .bucket(command.text("bucket"))
                        .key(command.text("key"))
                        .newKeyring(clients.keys.raw(command.inner("to")));
        command.optional("suffix").ifPresent(request::instructionFileSuffix);
        clients.writer(command.text("format"), true, clients.keys.main(command))
                .reEncryptInstructionFile(request.build());
    }

    private static Consumer<AwsRequestOverrideConfiguration.Builder> context(Command command) {
        Map<String, String> context = command.map("context");
        return context.isEmpty()
                ? request -> {}
                : S3EncryptionClient.withAdditionalConfiguration(context);
    }

    private static byte[] plaintext(int length) {
        byte[] bytes = new byte[length];
        for (int i = 0; i < length; i++) {
            bytes[i] = (byte) (i ^ i >> 8 ^ i >> 16);
        }
        return bytes;
    }

    private static String withCauses(Throwable error) {
        StringBuilder text = new StringBuilder(error.toString());
        for (Throwable cause = error.getCause(); cause != null; cause = cause.getCause()) {
            text.append("; ").append(cause);
        }
        return text.toString();
    }
}
