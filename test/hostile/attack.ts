/** What became of an attack. */
export interface Outcome {
  /** Connections that the attack was carried out over, and how many of them the server closed. */
  readonly connections: number;
  readonly closed: number;
  /** What it sent, in words. */
  readonly sent: string;
  /** Ends what it still holds open. */
  end(): void;
}

/** Carries an attack out; resolves when the attacker has done its worst, with its connections still open. */
export type Attack = (address: string) => Promise<Outcome>;

/** An attack, and what the suite requires of the server. */
export interface HostileAttack {
  readonly attack: Attack;
  /** The server has closed all connections of the attack when it ends. Default false. */
  readonly isCut?: boolean;
  /** The server requires tokens, with the default rate limit. Default false: it trusts its callers. */
  readonly needsToken?: boolean;
  /** Maximum growth of the server's memory, in MiB. Default 100. */
  readonly maxMib?: number;
}

/** Waits for an attack, for no longer than this: a server that does not read holds its attacker up. */
export async function within(ms: number, attack: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([
    attack,
    new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms);
    }),
  ]);
  clearTimeout(timer);
}
