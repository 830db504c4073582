// Plays one scene through one entrance, both named on standard input, and prints one line of JSON:
// what the client made of it, the errors it reported, and every server event it got.

import { entrances } from './entrances.mjs';
import { Line } from './line.mjs';
import { scenes } from './scenes.mjs';
import { outcome, told, tell } from './report.mjs';

const settings = await told();
const { connect, dialect } = entrances[settings.entrance];
const client = await connect(settings);
const line = new Line(client);
const came = await outcome(scenes[settings.scene](line, dialect, settings));
line.close();
tell({ ...came, errors: line.errors, frames: line.frames });
