/**
 * A component: one network of a checkpoint under our names, with its config, compared with what a network
 * of that config must have.
 */
import { type ErrorCode, isNijimiError, NijimiError } from "../../errors.ts";
import type { Entries, Entry } from "../checkpoint.ts";
import type { JsonObject } from "../json.ts";
import { toOurs, type KeyMap } from "./key-map.ts";
import { parameterTable } from "./parameters/by-class.ts";

/** A parameter that has another shape than its config says. */
export interface Mismatch {
  readonly name: string;
  readonly expected: readonly number[];
  readonly got: readonly number[];
}

/** See the file's header. */
export interface Component {
  /** Class of diffusers or transformers; for networks that neither has, the authors' class. */
  readonly className: string;
  /** As diffusers or transformers write it. */
  readonly config: JsonObject;
  /** Parameters under our names, none read yet. */
  readonly entries: Entries;
  /** Parameters that the config asks for and the file does not have. */
  readonly missing: readonly string[];
  /** Tensors of the file, under its own names, that no parameter takes. */
  readonly unexpected: readonly string[];
  /** Tensors of the file that are known not to be needed: an unused last layer, buffers. */
  readonly unused: readonly string[];
  readonly mismatched: readonly Mismatch[];
  /** Config keys that neither the file nor its companions tell, such as the number of heads. */
  readonly undetermined: readonly string[];
  /** False where nothing is known of the class's parameters, so that nothing can be missing. */
  readonly checked: boolean;
  /** Why no network can be made with this config. */
  readonly refusal?: NijimiError;
  /** The precision that its weights are quantised to, where they are. */
  readonly quantization?: string;
}

/** What a component is made of before it is checked. */
export interface ComponentParts {
  readonly className: string;
  readonly config: JsonObject;
  readonly entries: Entries;
  /** Left over by the key map, under the file's names. @default none */
  readonly unexpected?: readonly string[];
  /** @default none */
  readonly unused?: readonly string[];
  /** @default none */
  readonly undetermined?: readonly string[];
  /** Only parameters below these paths are asked for: a file may hold a decoder alone. @default all */
  readonly parts?: readonly string[];
}

/** A config, and its keys that could not be found out. */
export interface FoundConfig {
  readonly config: JsonObject;
  readonly undetermined: readonly string[];
}

/** A component of a foreign layout's tensors and the map that names them. */
export function mappedComponent(
  className: string,
  found: FoundConfig,
  entries: Entries,
  map: KeyMap,
): Component {
  const { entries: ours, unmapped } = toOurs(map, entries);
  return makeComponent({ ...found, className, entries: ours, unexpected: unmapped });
}

/** Parameters stored under a second name as well; either will do. */
const ALIASES: Readonly<Record<string, string>> = {
  "encoder.embed_tokens.weight": "shared.weight",
};

/** Tensors that older versions of the libraries wrote and that carry nothing. */
const BUFFERS = /(^|\.)(position_ids|num_batches_tracked)$/;

/** Compares parameters with what their class and config ask for. */
export function makeComponent(parts: ComponentParts): Component {
  const {
    className,
    config,
    unexpected = [],
    unused = [],
    undetermined = [],
    parts: paths,
  } = parts;
  const { table, refusal } = tableOrRefusal(className, config);
  const entries = Object.create(null) as Record<string, Entry>;
  const [extra, buffers]: [string[], string[]] = [[], []];
  for (const [name, entry] of Object.entries(parts.entries)) {
    const ours = table && !table.has(name) && name in ALIASES ? ALIASES[name] : name;
    if (!table || table.has(ours)) entries[ours] = entry;
    else (BUFFERS.test(name) ? buffers : extra).push(name);
  }
  const expected = [...(table ?? [])].filter(
    ([name]) => paths?.some((path) => name.startsWith(`${path}.`)) ?? true,
  );
  return {
    className,
    config,
    entries,
    missing: expected.map(([name]) => name).filter((name) => !(name in entries)),
    unexpected: [...unexpected, ...extra],
    unused: [...unused, ...buffers],
    mismatched: expected
      .filter(([name, shape]) => name in entries && String(entries[name].shape) !== String(shape))
      .map(([name, shape]) => ({ name, expected: shape, got: entries[name].shape })),
    undetermined,
    checked: table !== undefined,
    refusal,
  };
}

function tableOrRefusal(className: string, config: JsonObject) {
  try {
    return { table: parameterTable(className, config) };
  } catch (error) {
    if (isNijimiError(error) && error.code !== "internal") return { refusal: error };
    throw error;
  }
}

/**
 * Refuses a component that cannot be used as it is: a parameter missing, of another shape, or not a
 * floating-point number; a config that is not known as a whole.
 *
 * @param file what is being loaded, for messages
 * @param name the component's name in it
 * @throws NijimiError `checkpoint`
 */
export function assertUsable(component: Component, file: string, name: string): void {
  const { className, missing, mismatched, entries, undetermined, checked, refusal } = component;
  const where = `${file}: ${name}`;
  // Of a config with holes, a refusal is about what was put there instead.
  if (refusal && undetermined.length === 0)
    throw new NijimiError(codeOfFile(refusal), `${where}: ${refusal.message}`, { cause: refusal });
  const [mismatch] = mismatched;
  if (mismatch)
    throw new NijimiError(
      "checkpoint",
      `${where}: ${mismatch.name} of ${className} must have the shape [${mismatch.expected}] by its config; got [${mismatch.got}]` +
        `${others(mismatched.length - 1)}. Config and weights belong to different networks.`,
    );
  if (missing.length > 0)
    throw new NijimiError(
      "checkpoint",
      `${where}: ${className} lacks ${missing.slice(0, 3).join(", ")}${others(missing.length - 3)}. The file is incomplete or of another network.`,
    );
  if (undetermined.length > 0)
    throw new NijimiError(
      "checkpoint",
      `${where}: ${undetermined.join(" and ")} of ${className} cannot be read from weights, and the sizes are not those of a published model. ` +
        `Put an architecture.json with the network's config.json in it, {"${name}": {…}}, beside the file, or pass it as architecture.`,
    );
  const whole =
    checked &&
    Object.entries(entries).find(
      ([, { dtype }]) => !dtype.startsWith("float") && dtype !== "bfloat16",
    );
  if (whole)
    throw new NijimiError(
      "checkpoint",
      `${where}: ${whole[0]} of ${className} has the dtype ${whole[1].dtype}; weights must be floating-point numbers.`,
    );
}

/** A value that a network refuses is an option where a caller gives it, and a fault of the file where that does. */
function codeOfFile({ code }: NijimiError): ErrorCode {
  return code === "option" ? "checkpoint" : code;
}

function others(count: number): string {
  return count > 0 ? ` and ${count} more` : "";
}
