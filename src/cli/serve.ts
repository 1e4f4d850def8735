import { isatty } from "node:tty";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { addChannelSettings, type ChannelSettings } from "../server/channel_settings.js";
import { type RollcallServer, startServer } from "../server/server.js";
import {
  environmentName,
  formatAddress,
  parseSetting,
  SETTINGS,
  type ServerSettings,
  type Setting,
  SettingError,
} from "../server/settings.js";
import { banner } from "./banner.js";
import { EXIT_CODES } from "./exit_codes.js";
import { repeatable } from "./options.js";

type ByPattern = Readonly<Record<string, ChannelSettings>>;

/** `rollcall serve`: runs a server until SIGTERM or SIGINT. */
export function serveCommand(): Command {
  const command = new Command("serve").description("run a presence server");
  for (const [key, setting] of Object.entries(SETTINGS)) {
    command.addOption(setting.kind === "secret" ? refused(setting) : toOption(key, setting));
  }
  command.addHelpText(
    "after",
    `
Every flag can be given in the environment as well: --presence-timeout as ROLLCALL_PRESENCE_TIMEOUT.
ROLLCALL_TOKEN_SECRET holds a secret of HS256 tokens; it is no flag, as other users see the command line.
Durations have a unit (500ms, 30s, 5m), sizes may have one (65536, 64KiB).

Examples:
  $ rollcall serve
  $ rollcall serve --listen 127.0.0.1:0 --presence-timeout 5s --metrics 127.0.0.1:9464
  $ rollcall serve --dev-secret
  $ rollcall serve --listen 0.0.0.0:50051 --token-jwks https://id.example/jwks.json \\
      --token-audience rollcall --tls-cert cert.pem --tls-key key.pem
`,
  );
  return command.action((options: Partial<ServerSettings>) => serve(options));
}

/** A flag that would show a secret to the other users of the machine. What was given is not repeated. */
function refused(setting: Setting): Option {
  const message = `--${setting.flag}: other users see the command line; use --${setting.flag}-file or ${environmentName(setting)}`;
  return new Option(`--${setting.flag} <secret>`).hideHelp().argParser(() => {
    throw new CommanderError(EXIT_CODES.usage, "rollcall.secretOnCommandLine", message);
  });
}

function toOption(key: string, setting: Setting): Option {
  const value = setting.kind === "switch" ? "[true|false]" : `<${placeholder(setting)}>`;
  const option = new Option(`--${setting.flag} ${value}`, setting.help);
  // The action gets the values under the names of the settings, whatever the flag is called.
  option.attributeName = () => key;
  option.env(environmentName(setting));
  if (setting.default !== undefined) option.default(parseSetting(setting, setting.default), setting.default);
  if (setting.kind === "switch") option.preset("true");
  if (setting.deprecated) option.hideHelp();
  if (setting.kind === "channels") repeatable(option);
  return option.argParser((text: string, before: unknown) => {
    try {
      const value = parseSetting(setting, text);
      if (setting.kind !== "channels") return value;
      return addChannelSettings(setting.flag, (before ?? {}) as ByPattern, value as ByPattern);
    } catch (error) {
      throw error instanceof SettingError ? new InvalidArgumentError(error.message) : error;
    }
  });
}

function placeholder(setting: Setting): string {
  if (setting.kind === "address") return "host:port";
  if (setting.kind === "channels") return "pattern=settings";
  return setting.kind === "choice" ? setting.choices.join("|") : setting.kind;
}

async function serve(options: Partial<ServerSettings>): Promise<void> {
  let server: RollcallServer;
  try {
    server = await startServer({ ...secretsOf(process.env), ...options });
  } catch (error) {
    const line = explain(error);
    if (line === undefined) throw error;
    process.stderr.write(`rollcall: ${line}\n`);
    process.exitCode = EXIT_CODES.usage;
    return;
  }
  // Listened for before anybody can know that we run; and the handlers stay, because npm passes on a signal that the
  // terminal has sent already, and going down is bounded anyway.
  const told = new Promise<void>((resolve) => {
    process.on("SIGTERM", resolve);
    process.on("SIGINT", resolve);
    // A terminal that is closed sends it too, and is no terminal any more then; a server without certificates has nothing to
    // reload, and ends with it.
    const endsWithTerminal = server.settings.tlsCert === undefined && isatty(0);
    process.on("SIGHUP", () => {
      if (endsWithTerminal) resolve();
      else server.reloadTls();
    });
  });
  process.stdout.write(banner(server));
  await told;
  await server.close();
  // A full pipe of standard output or standard error that is not read would keep the process alive. A banner that could
  // not be written is no failure of the server.
  process.exit(EXIT_CODES.ok);
}

/** The settings that are taken from the environment alone. */
function secretsOf(env: NodeJS.ProcessEnv): Partial<ServerSettings> {
  const given = Object.entries(SETTINGS).flatMap(([key, setting]) => {
    const text = setting.kind === "secret" ? env[environmentName(setting)] : undefined;
    return text === undefined ? [] : [[key, parseSetting(setting, text)]];
  });
  return Object.fromEntries(given) as Partial<ServerSettings>;
}

/** One line on why a server cannot be started, for the errors that are not bugs. */
function explain(error: unknown): string | undefined {
  if (error instanceof SettingError) return error.message;
  const { code, address = "", port = 0 } = error as NodeJS.ErrnoException & { address?: string; port?: number };
  const where = formatAddress({ host: address, port });
  switch (code) {
    case "EADDRINUSE":
      return `${where} is in use by another program; choose another with --listen HOST:PORT`;
    case "EACCES":
      return `${where} may not be listened on by this user; choose a port above 1023 with --listen`;
    case "EADDRNOTAVAIL":
      return `${address} is not an address of this machine; choose one with --listen HOST:PORT`;
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return "the host of --listen cannot be found";
    default:
      return undefined;
  }
}
