/** When a channel stops to announce each event, and how often it tells of them from then on (S18). */
export interface Pace {
  /** Most present users with whom each event is announced as it happens. Default 500; 0: never with anybody there. */
  readonly announceMax: number;
  /** Time between two INTERVAL events, in ms. Default 1000. */
  readonly intervalMs: number;
}

/** A channel announces again below this share of `announceMax`, so that it does not go to and fro at the limit. */
const RETURN_SHARE = 0.8;

/** Whether a channel with so many present users is to be in interval mode, given whether it is now (S18). */
export function belongsInIntervals({ announceMax }: Pace, present: number, isNow: boolean): boolean {
  return isNow ? present >= RETURN_SHARE * announceMax : present > announceMax;
}
