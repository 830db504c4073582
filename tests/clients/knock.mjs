// Knocks as a page in a browser does, with subprotocols and nothing else, and prints one line of
// JSON: which of them the server chose and what it said first, or the status of its refusal.

import WebSocket from 'ws';
import { told, tell } from './report.mjs';

const { url, subprotocols } = await told();
const socket = new WebSocket(url, subprotocols.split(' '));

const made = await new Promise((resolve, reject) => {
  socket.on('message', (frame) => resolve({ chosen: socket.protocol, said: JSON.parse(frame) }));
  socket.on('unexpected-response', (_request, { statusCode }) => resolve({ refused: statusCode }));
  socket.on('error', reject);
});
socket.on('error', () => {}); // closing what was refused is one
socket.close();
tell({ made });
