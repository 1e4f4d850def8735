#!/usr/bin/env node
import { processIo } from "./io.js";
import { run } from "./run.js";

const exitCode = await run(process.argv.slice(2), processIo());
// Not process.exit(): what was written must still get out. A command may have
// set a code of its own.
if (exitCode !== 0) process.exitCode = exitCode;
