package interop;

import java.security.KeyFactory;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.SecureRandom;
import java.security.interfaces.RSAPrivateCrtKey;
import java.security.spec.PKCS8EncodedKeySpec;
import java.security.spec.RSAPublicKeySpec;
import java.util.Base64;
import java.util.HexFormat;
import java.util.Map;
import javax.crypto.SecretKey;
import javax.crypto.spec.SecretKeySpec;
import software.amazon.awssdk.services.kms.KmsClient;
import software.amazon.encryption.s3.materials.AesKeyMaterial;
import software.amazon.encryption.s3.materials.AesKeyring;
import software.amazon.encryption.s3.materials.KmsKeyring;
import software.amazon.encryption.s3.materials.MaterialsDescription;
import software.amazon.encryption.s3.materials.PartialRsaKeyPair;
import software.amazon.encryption.s3.materials.RawKeyring;
import software.amazon.encryption.s3.materials.RsaKeyMaterial;
import software.amazon.encryption.s3.materials.RsaKeyring;
import software.amazon.encryption.s3.materials.S3Keyring;

/** The wrapping keys of this run, as keyrings. */
final class Keys {
    private final KmsClient kms;
    private final String kmsKeyId;
    private final SecretKey aes;
    private final SecretKey otherAes;
    private final PartialRsaKeyPair rsa;
    private final PartialRsaKeyPair otherRsa;

    Keys(Command start, KmsClient kms) throws Exception {
        this.kms = kms;
        kmsKeyId = start.text("kms_key_id");
        aes = new SecretKeySpec(HexFormat.of().parseHex(start.text("aes")), "AES");
        otherAes = new SecretKeySpec(SecureRandom.getSeed(32), "AES");
        rsa = new PartialRsaKeyPair(pair(start.text("rsa")));
        otherRsa = new PartialRsaKeyPair(KeyPairGenerator.getInstance("RSA").generateKeyPair());
    }

    private static KeyPair pair(String pem) throws Exception {
        String base64 = pem.replaceAll("-----[A-Z ]+-----|\\s", "");
        KeyFactory factory = KeyFactory.getInstance("RSA");
        RSAPrivateCrtKey key =
                (RSAPrivateCrtKey)
                        factory.generatePrivate(
                                new PKCS8EncodedKeySpec(Base64.getDecoder().decode(base64)));
        RSAPublicKeySpec half = new RSAPublicKeySpec(key.getModulus(), key.getPublicExponent());
        return new KeyPair(factory.generatePublic(half), key);
    }

    /** A keyring whose main key is the wrap that the command names. */
    S3Keyring.Builder<?, ?> main(Command command) {
        if (command.text("wrap").equals("kms")) {
            return KmsKeyring.builder().kmsClient(kms).wrappingKeyId(kmsKeyId);
        }
        return rawBuilder(command);
    }

    /** The same for raw keys alone. */
    RawKeyring<?> raw(Command command) {
        return rawBuilder(command).build();
    }

    private RawKeyring.Builder<? extends RawKeyring<?>, ?, ?> rawBuilder(Command command) {
        MaterialsDescription description = description(command);
        return switch (command.text("wrap")) {
            case "aes" -> AesKeyring.builder().wrappingKey(aes).materialsDescription(description);
            case "rsa" ->
                    RsaKeyring.builder().wrappingKeyPair(rsa).materialsDescription(description);
            default -> throw new IllegalArgumentException("no such wrapping key");
        };
    }

    /** A keyring that gives the right key for just this description, where there is one. */
    S3Keyring.Builder<?, ?> byDescription(Command command) {
        MaterialsDescription description = description(command);
        if (description.isEmpty() || command.text("wrap").equals("kms")) {
            return main(command);
        }
        if (command.text("wrap").equals("aes")) {
            return AesKeyring.builder()
                    .wrappingKey(otherAes)
                    .additionalDecryptionKeyMaterial(
                            Map.of(description, new AesKeyMaterial(description, aes)));
        }
        return RsaKeyring.builder()
                .wrappingKeyPair(otherRsa)
                .additionalDecryptionKeyMaterial(
                        Map.of(description, new RsaKeyMaterial(description, rsa)));
    }

    private static MaterialsDescription description(Command command) {
        return MaterialsDescription.builder().putAll(command.map("description")).build();
    }
}
