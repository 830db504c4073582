// How these programs are told what to do, and tell what came of it.

import { json } from 'node:stream/consumers';

const PATIENCE_MS = 30_000; // after which a conversation is given up

export const told = () => json(process.stdin);

export const tell = (report) => process.stdout.write(`${JSON.stringify(report)}\n`);

// What came of a conversation: what was made of it, or what kept it from its end.
export async function outcome(conversation) {
  const silence = new Promise((_resolve, reject) => {
    setTimeout(() => reject(new Error('it never ended')), PATIENCE_MS).unref();
  });
  try {
    return { made: await Promise.race([conversation, silence]), failure: null };
  } catch (error) {
    return { made: {}, failure: String(error.stack) };
  }
}
