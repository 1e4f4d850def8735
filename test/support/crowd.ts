import type { CrowdCalls } from "./crowd_process.js";
import { Remote } from "./remote.js";

/** Users in a process of their own. */
export type Crowd = Remote<CrowdCalls>;

/** Starts a process for users, with nobody in it yet; see `crowd_process.ts`. */
export function startCrowd(): Promise<Crowd> {
  return Remote.start<CrowdCalls>(new URL("./crowd_process.ts", import.meta.url));
}
