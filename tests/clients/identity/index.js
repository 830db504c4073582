export class DefaultAzureCredential {}

export const getBearerTokenProvider = (_credential, _scopes) => async () =>
  process.env.KEY_OF_THE_SERVER;
