// The ways in which the versions of the openai package connect. Each gives a realtime client that
// is about to connect, to which no event has come yet.

import { ga, preview } from './dialects.mjs';

const openai = async ({ package: name, url, path, key }) => {
  const { OpenAI } = await import(name);
  return new OpenAI({ apiKey: key, baseURL: url + path, dangerouslyAllowBrowser: true });
};

const azure = async ({ package: name, url, version, key, model }) => {
  const { AzureOpenAI } = await import(name);
  return new AzureOpenAI({ apiKey: key, endpoint: url, apiVersion: version, deployment: model });
};

export const entrances = {
  ws: {
    dialect: ga,
    async connect(settings) {
      const { OpenAIRealtimeWS } = await import(`${settings.package}/realtime/ws`);
      return OpenAIRealtimeWS.create(await openai(settings), { model: settings.model });
    },
  },

  // With what a page in a browser has: no headers, so the key is in a subprotocol.
  browser: {
    dialect: ga,
    async connect(settings) {
      const { OpenAIRealtimeWebSocket } = await import(`${settings.package}/realtime/websocket`);
      return new OpenAIRealtimeWebSocket({ model: settings.model }, await openai(settings));
    },
  },

  azure: {
    dialect: ga,
    async connect(settings) {
      const { OpenAIRealtimeWS } = await import(`${settings.package}/realtime/ws`);
      return OpenAIRealtimeWS.azure(await azure(settings));
    },
  },

  'beta-ws': {
    dialect: preview,
    async connect(settings) {
      const { OpenAIRealtimeWS } = await import(`${settings.package}/beta/realtime/ws`);
      return new OpenAIRealtimeWS({ model: settings.model }, await openai(settings));
    },
  },

  'beta-browser': {
    dialect: preview,
    async connect(settings) {
      const { OpenAIRealtimeWebSocket } = await import(
        `${settings.package}/beta/realtime/websocket`
      );
      return new OpenAIRealtimeWebSocket({ model: settings.model }, await openai(settings));
    },
  },

  'beta-azure': {
    dialect: preview,
    async connect(settings) {
      const { OpenAIRealtimeWS } = await import(`${settings.package}/beta/realtime/ws`);
      return OpenAIRealtimeWS.azure(await azure(settings));
    },
  },
};
