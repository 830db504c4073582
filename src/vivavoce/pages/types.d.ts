/** What the server tells its own pages. */

export type State = "loading" | "ready" | "draining" | "failed";

/** An engine at work. `version` is what went wrong, where it is not ready. */
export interface Engine {
  slot: string;
  name: string;
  version: string;
  status: string;
}

export interface Deployment {
  name: string;
  model: string;
  recipe: string;
  served_by: string;
}

/** `GET /api/home`. */
export interface Home {
  signed_in: true;
  version: string;
  state: State;
  engines: Engine[];
  addresses: { http: string; ws: string };
  /** null where none is needed. */
  key: string | null;
  deployments: Deployment[];
  /** The paths of the pages that this server has. */
  pages: string[];
}
