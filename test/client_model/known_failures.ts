/** Failures of the client that are known and not fixed: while one is here, rounds do not check for it. */
export const KNOWN_FAILURES = {
  /** `members` does not show what other devices of its own user set. */
  misseesOwnUser: true,
  /** A client that returns restores nothing if any key was set meanwhile, or restores what another device changed. */
  restoresWrongly: true,
  /** `leave()` ends the sessions of the user's other devices. */
  leaveEndsOtherDevices: true,
};
