/** What a {@link ./text_load.TextLoad} has to know of a protocol over plain sockets. */
export interface Dialect {
  /** Brings a new connection to the point where it takes commands. Steps are sent one by one, each awaited. */
  readonly greeting: readonly Step[];
  /** How many readers one connection can carry. */
  readonly readersPerConnection: (asked: number) => number;
  /** Makes a connection hear a channel, as the connection's reader number `reader`. */
  subscribe(channel: string, reader: number): Step;
  /** One change, with its stamp. */
  change(channel: string, stamp: string): Buffer;
  /** Follows the changes of one write; for a protocol that answers only when asked. */
  readonly askForAnswer?: Buffer;
  /** The byte that stands once in each answer on the connection that makes the changes, and nowhere else there. */
  readonly answerMark: number;
}

/** Something to send, and the text in the answer that says it took effect. */
export interface Step {
  send: Buffer | string;
  until: string;
}

/** Fills a state's value up so that the message on the wire has the size of a presence event. */
export const PADDING = ".".repeat(80);
