import { ServerInterceptingCall, type ServerInterceptor, status } from "@grpc/grpc-js";
import type { Clock } from "../time/clock.js";
import { http2StreamBelow, requestEncodingOf } from "./transport_internals.js";

/** How much may be decompressed at a time. */
export interface CompressedRequestsOptions {
  readonly clock: Clock;
  /** Requests that may be on their way at a time, 1 or more. */
  readonly most: number;
  /** A request of this method was refused. */
  readonly onRefused: (method: string) => void;
}

/** How long a request that was given up may still be decompressed, in ms: nothing tells when that is over. */
const GIVEN_UP_MS = 1000;

/**
 * Bounds how many compressed requests are on their way. 1 KiB can become as much as the largest message, and grpc-js
 * decompresses each as soon as it has come, all of them at once. What does not fit is refused by its headers: once
 * decompressing has begun nothing stops it.
 */
export class CompressedRequests {
  #count = 0;

  constructor(private readonly options: CompressedRequestsOptions) {}

  /** Looks on as a call begins; leaves one that is not compressed as it is. */
  readonly interceptor: ServerInterceptor = (method, call) => {
    const encoding = requestEncodingOf(call) ?? "identity";
    const stream = http2StreamBelow(call);
    if (encoding === "identity" || !stream) return call as ServerInterceptingCall;
    const { clock, most, onRefused } = this.options;
    if (this.#count >= most) {
      call.sendStatus({
        code: status.RESOURCE_EXHAUSTED,
        details: "too many compressed requests at a time; try again, or without compression",
      });
      onRefused(method.path.slice(method.path.lastIndexOf("/") + 1));
      return call as ServerInterceptingCall;
    }
    this.#count++;
    let isCounted = true;
    const release = (): void => {
      if (isCounted) this.#count--;
      isCounted = false;
    };
    stream.once("close", () => {
      if (isCounted) clock.setTimer(GIVEN_UP_MS, release);
    });
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMessage: (message, receive) => {
            release();
            receive(message);
          },
        }),
    });
  };
}
