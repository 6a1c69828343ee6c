/** `nijimi models`: weights that are known by name, whether they are here, and fetching and checking them. */
import { stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { NijimiError, unknownName } from "../../errors.ts";
import { download, hashFile } from "../../internal/download.node.ts";
import { home } from "../../internal/home.node.ts";
import { KNOWN_WEIGHTS, type KnownWeights } from "../../metrics/networks/known-weights.ts";
import { type CommandContext, defineCommand } from "../command.ts";
import { formatBytes } from "../format.ts";

const KNOWN: Readonly<Record<string, KnownWeights>> = KNOWN_WEIGHTS;

/** Known weights, and what of them is on this machine. */
interface ModelState extends KnownWeights {
  readonly name: string;
  readonly path: string;
  readonly state: "here" | "partly here" | "not here";
  readonly bytesHere: number;
}

export const command = defineCommand({
  description: "List, fetch and check weights that are known by name",
  options: {
    action: {
      type: "argument",
      choices: ["list", "info", "fetch", "verify"],
      default: "list",
      description: "What to do",
    },
    model: {
      type: "argument",
      optional: true,
      description: "Name from the list; for fetch also a URL, for verify also a file",
    },
    sha256: { type: "string", hint: "hex", description: "What a URL or file must hash to" },
  },
  examples: [
    { command: "models", description: "What is known, and what is here" },
    { command: "models fetch fid-inception", description: "Fetch weights, or go on fetching" },
    { command: "models verify", description: "Check everything that is here" },
    {
      command: "models fetch https://example.org/w.safetensors --sha256 6726825d…",
      description: "Any file whose hash is known",
    },
  ],
  async run({ action, model, sha256 }, context) {
    const folder = home(context.env).models;
    if (action === "list" && model !== undefined)
      throw new NijimiError(
        "option",
        `list takes no model; nijimi models info ${model} tells of one.`,
      );
    if (sha256 !== undefined && (action === "list" || action === "info"))
      throw new NijimiError(
        "option",
        `--sha256 goes with fetch and verify; ${action} checks nothing.`,
      );
    if (action === "list") return list(folder, context);
    if (action === "verify") return verify(model, sha256, folder, context);
    if (model === undefined)
      throw new NijimiError(
        "option",
        `${action} needs a model: one of ${Object.keys(KNOWN).join(", ")}${action === "fetch" ? ", or a URL with --sha256" : ""}.`,
      );
    if (action === "info") return info(model, folder, context);
    return fetchModel(model, sha256, folder, context);
  },
});

async function list(folder: string, { result }: CommandContext): Promise<void> {
  const models = await Promise.all(Object.keys(KNOWN).map((name) => stateOf(name, folder)));
  result({ folder, models }, ({ models: all }) => {
    const width = Math.max(...all.map(({ name }) => name.length));
    return [
      ...all.map(
        ({ name, state, description }) =>
          `${state === "here" ? "✓" : state === "partly here" ? "…" : " "} ${name.padEnd(width)}  ${description}`,
      ),
      "",
      `✓ is in ${folder}; others: nijimi models fetch NAME`,
    ].join("\n");
  });
}

async function info(name: string, folder: string, { result }: CommandContext): Promise<void> {
  result(await stateOf(name, folder), ({ description, url, sha256, license, bytes, path, state }) =>
    [
      description,
      `url      ${url}`,
      `sha256   ${sha256}`,
      `size     ${bytes === undefined ? "not recorded" : formatBytes(bytes)}`,
      `license  ${license}`,
      `file     ${path} (${state})`,
    ].join("\n"),
  );
}

async function fetchModel(
  model: string,
  sha256: string | undefined,
  folder: string,
  { signal, progress, result, say }: CommandContext,
): Promise<void> {
  const wanted = whatToFetch(model, sha256);
  const to = join(folder, wanted.file);
  say(`Fetching ${wanted.url} to ${to}`);
  const display = progress({ label: wanted.file, unit: "byte", total: wanted.bytes });
  const fetched = await download(wanted.url, {
    to,
    sha256: wanted.sha256,
    signal,
    onProgress: (done, total) =>
      display.update(
        done,
        `${formatBytes(done)}${total === undefined ? "" : ` of ${formatBytes(total)}`}`,
      ),
  });
  display.end(fetched ? "fetched and checked" : "is here already, checked");
  result({ path: to, sha256: wanted.sha256, fetched }, ({ path }) => path);
}

function whatToFetch(
  model: string,
  sha256: string | undefined,
): Pick<KnownWeights, "url" | "sha256" | "file" | "bytes"> {
  if (Object.hasOwn(KNOWN, model)) return KNOWN[model];
  if (!/^https?:\/\//i.test(model)) throw unknownName("model", model, Object.keys(KNOWN));
  if (sha256 === undefined || !/^[0-9a-f]{64}$/i.test(sha256))
    throw new NijimiError(
      "option",
      `A file from ${model} is only fetched with the SHA-256 it must have: --sha256 and 64 hexadecimal digits; got ${JSON.stringify(sha256)}.`,
    );
  const file = basename(decodeURIComponent(new URL(model).pathname));
  if (file === "" || file === "..")
    throw new NijimiError("option", `${model} names no file; expected a URL that ends in one.`);
  return { url: model, sha256: sha256.toLowerCase(), file };
}

/** What was found out about one file. */
interface Verified {
  readonly name: string;
  readonly path: string;
  readonly sha256: string;
  readonly expected: string;
  readonly isRight: boolean;
}

async function verify(
  model: string | undefined,
  sha256: string | undefined,
  folder: string,
  { signal, result }: CommandContext,
): Promise<void> {
  const files = await filesToVerify(model, sha256, folder);
  const verified: Verified[] = [];
  for (const { name, path, expected } of files) {
    const got = await hashFile(path, signal);
    verified.push({ name, path, sha256: got, expected, isRight: got === expected });
  }
  result(verified, (all) =>
    all.length === 0
      ? `Nothing to check in ${folder}`
      : all
          .map(({ name, path, sha256: got, isRight }) =>
            isRight ? `right  ${name}  ${path}` : `WRONG  ${name}  ${path} has ${got}`,
          )
          .join("\n"),
  );
  const wrong = verified.filter(({ isRight }) => !isRight);
  if (wrong.length > 0)
    throw new NijimiError(
      "format",
      `${wrong.map(({ path }) => path).join(", ")}: not what was published; delete and fetch again.`,
    );
}

async function filesToVerify(
  model: string | undefined,
  sha256: string | undefined,
  folder: string,
): Promise<{ name: string; path: string; expected: string }[]> {
  if (model !== undefined && !Object.hasOwn(KNOWN, model)) {
    const byFile = Object.values(KNOWN).find(({ file }) => file === basename(model));
    const expected = sha256?.toLowerCase() ?? byFile?.sha256;
    if (expected === undefined)
      throw new NijimiError(
        "option",
        `${model} is no known name or file; say what it must hash to with --sha256.`,
      );
    return [{ name: basename(model), path: model, expected }];
  }
  const names = model === undefined ? Object.keys(KNOWN) : [model];
  const states = await Promise.all(names.map((name) => stateOf(name, folder)));
  if (model !== undefined && states[0].state !== "here")
    throw new NijimiError(
      "file",
      `${model} is not at ${states[0].path}; fetch it: nijimi models fetch ${model}`,
    );
  return states
    .filter(({ state }) => state === "here")
    .map(({ name, path, sha256: expected }) => ({ name, path, expected }));
}

async function stateOf(name: string, folder: string): Promise<ModelState> {
  if (!Object.hasOwn(KNOWN, name)) throw unknownName("model", name, Object.keys(KNOWN));
  const path = join(folder, KNOWN[name].file);
  const [whole, part] = [await sizeOf(path), await sizeOf(`${path}.part`)];
  const state = whole !== undefined ? "here" : part !== undefined ? "partly here" : "not here";
  return { name, ...KNOWN[name], path, state, bytesHere: whole ?? part ?? 0 };
}

async function sizeOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    ({ size }) => size,
    () => undefined,
  );
}
