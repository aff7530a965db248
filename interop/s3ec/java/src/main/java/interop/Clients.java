package interop;

import java.net.URI;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProvider;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.core.client.config.ClientOverrideConfiguration;
import software.amazon.awssdk.core.interceptor.Context;
import software.amazon.awssdk.core.interceptor.ExecutionAttributes;
import software.amazon.awssdk.core.interceptor.ExecutionInterceptor;
import software.amazon.awssdk.http.SdkHttpRequest;
import software.amazon.awssdk.http.apache.ApacheHttpClient;
import software.amazon.awssdk.http.nio.netty.NettyNioAsyncHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.kms.KmsClient;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.encryption.s3.CommitmentPolicy;
import software.amazon.encryption.s3.S3EncryptionClient;
import software.amazon.encryption.s3.algorithms.AlgorithmSuite;
import software.amazon.encryption.s3.internal.InstructionFileConfig;
import software.amazon.encryption.s3.materials.S3Keyring;

/** Encryption clients in each configuration, over the same HTTP connections. */
final class Clients {
    /** Each instruction file that is read leaks a connection. */
    private static final int CONNECTIONS = 5000;

    final Keys keys;
    private final S3Client s3;
    private final S3AsyncClient asynchronous;

    Clients(Command start) throws Exception {
        URI endpoint = URI.create(start.text("endpoint"));
        AwsCredentialsProvider credentials =
                StaticCredentialsProvider.create(
                        AwsBasicCredentials.create("testkey", "testsecret"));
        ClientOverrideConfiguration overrides =
                ClientOverrideConfiguration.builder()
                        .addExecutionInterceptor(new NoExpectation())
                        .build();
        s3 =
                S3Client.builder()
                        .endpointOverride(endpoint)
                        .region(Region.US_EAST_1)
                        .credentialsProvider(credentials)
                        .forcePathStyle(true)
                        .overrideConfiguration(overrides)
                        .httpClientBuilder(
                                ApacheHttpClient.builder().maxConnections(CONNECTIONS))
                        .build();
        asynchronous =
                S3AsyncClient.builder()
                        .endpointOverride(endpoint)
                        .region(Region.US_EAST_1)
                        .credentialsProvider(credentials)
                        .forcePathStyle(true)
                        .overrideConfiguration(overrides)
                        .httpClientBuilder(
                                NettyNioAsyncHttpClient.builder().maxConcurrency(CONNECTIONS))
                        .build();
        KmsClient kms =
                KmsClient.builder()
                        .endpointOverride(endpoint)
                        .region(Region.US_EAST_1)
                        .credentialsProvider(credentials)
                        .httpClientBuilder(ApacheHttpClient.builder())
                        .build();
        keys = new Keys(start, kms);
    }

    S3EncryptionClient writer(String format, boolean toFile, S3Keyring.Builder<?, ?> keyring) {
        boolean committing =
                switch (format) {
                    case "v2" -> false;
                    case "v3" -> true;
                    default -> throw new IllegalArgumentException("no such format");
                };
        return builder(toFile)
                .keyring(keyring.build())
                .encryptionAlgorithm(
                        committing
                                ? AlgorithmSuite.ALG_AES_256_GCM_HKDF_SHA512_COMMIT_KEY
                                : AlgorithmSuite.ALG_AES_256_GCM_IV12_TAG16_NO_KDF)
                .commitmentPolicy(
                        committing
                                ? CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
                                : CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT)
                .build();
    }

    S3EncryptionClient reader(
            boolean committedOnly, boolean legacy, S3Keyring.Builder<?, ?> keyring) {
        return builder(false)
                .keyring(keyring.enableLegacyWrappingAlgorithms(legacy).build())
                .enableLegacyUnauthenticatedModes(legacy)
                .commitmentPolicy(
                        committedOnly
                                ? CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
                                : CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT)
                .build();
    }

    private S3EncryptionClient.Builder builder(boolean toFile) {
        return S3EncryptionClient.builderV4()
                .wrappedClient(s3)
                .wrappedAsyncClient(asynchronous)
                .instructionFileConfig(
                        InstructionFileConfig.builder()
                                .instructionFileClient(s3)
                                .enableInstructionFilePutObject(toFile)
                                .build());
    }

    /** The server answers {@code Expect: 100-continue} too late. */
    private static final class NoExpectation implements ExecutionInterceptor {
        @Override
        public SdkHttpRequest modifyHttpRequest(
                Context.ModifyHttpRequest context, ExecutionAttributes attributes) {
            return context.httpRequest().toBuilder().removeHeader("Expect").build();
        }
    }
}
