import { PresenceError } from "../../src/client/index.js";
import type { Device } from "./device.js";

/** A call of the client in flight, or answered. */
export interface Call {
  readonly label: string;
  readonly device: Device;
  isSettled: boolean;
}

/** Codes of calls whose connection failed. */
const LOST = new Set(["UNAVAILABLE", "CANCELLED", "INTERNAL", "UNKNOWN", "DEADLINE_EXCEEDED", "ABORTED"]);

/** Why a call may fail, beyond faults of its device's network. */
export interface Allowed {
  readonly reasons?: readonly string[];
  readonly signal?: AbortSignal;
}

/** Follows the calls of a round: whether they settle, and whether they fail for a reason that is allowed. */
export class Calls {
  readonly #calls = new Set<Call>();
  /** Failures that are not allowed, as lines for a report. */
  readonly problems: string[] = [];

  /** Follows a call. Resolves with its result, or `undefined` if it failed. */
  async follow<T>(label: string, device: Device, promise: Promise<T>, allowed: Allowed = {}): Promise<T | undefined> {
    const call: Call = { label, device, isSettled: false };
    this.#calls.add(call);
    try {
      return await promise;
    } catch (error) {
      if (!isAllowed(error, device, allowed)) this.problems.push(`${label} failed: ${describe(error)}`);
      return undefined;
    } finally {
      call.isSettled = true;
      this.#calls.delete(call);
    }
  }

  /** The calls that are in flight. */
  get inFlight(): readonly Call[] {
    return [...this.#calls];
  }
}

function isAllowed(error: unknown, device: Device, { reasons = [], signal }: Allowed): boolean {
  if (signal?.aborted && error === signal.reason) return true;
  if (!(error instanceof PresenceError)) return false;
  if (error.reason) return reasons.includes(error.reason) || (device.isDisturbed && error.code === "UNAVAILABLE");
  // Calls of a client that was closed, and writes that waited for a subscription that was.
  if (error.code === "CANCELLED" && (device.wasReopened || device.viewers.some(({ mayEnd }) => mayEnd))) return true;
  return device.isDisturbed && LOST.has(error.code);
}

function describe(error: unknown): string {
  if (error instanceof PresenceError) return `${error.code} ${error.reason ?? ""} ${error.message}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
