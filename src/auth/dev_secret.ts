/**
 * The secret of `--dev-secret`. It is no secret: everybody can read it here, and so a server that takes it listens on
 * loopback alone. It lets a token be tried out in one step.
 */
export const DEV_SECRET = "rollcall development secret, known to everybody";
