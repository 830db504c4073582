export declare class DefaultAzureCredential {}

export declare function getBearerTokenProvider(
  credential: DefaultAzureCredential,
  scopes: string | string[],
): () => Promise<string>;
