/**
 * A report on any file or folder: what it is, what it holds, what is missing. Families that are not run, and
 * files of no known family, are reported as well, not refused.
 */
import { toFloat64 } from "../../tensor/convert.ts";
import { baseOfAdapter, baseOfEmbedding } from "./base-model.ts";
import { summarise, type Summary } from "./summary.ts";
import { ADAPTER_FILES, EMBEDDING_FILES, openInFolder } from "../adapters/in-folder.ts";
import { isAdapterFile, kindOf, readModules } from "../adapters/modules.ts";
import { readTextualInversion } from "../adapters/textual-inversion.ts";
import type { Checkpoint, Entries, MetadataValue } from "../checkpoint.ts";
import type { Folder } from "../files/folder.ts";
import type { SourceInput } from "../files/open-source.ts";
import type { JsonObject, JsonValue } from "../json.ts";
import { describeCheckpoint, type LoadedCheckpoint, type LoadOptions } from "../layouts/load.ts";
import { openFolderOrFile } from "../layouts/open.ts";
import { unwrap } from "../layouts/unwrap.ts";
import type { Mismatch } from "../layouts/component.ts";

/** What a file or folder is. */
export type ReportKind = "model" | "adapter" | "embedding" | "unsupported" | "unknown";

/** One network of a report. */
export interface ComponentReport extends Summary {
  readonly name: string;
  readonly className: string;
  readonly config: JsonObject;
  readonly missing: readonly string[];
  readonly unexpected: readonly string[];
  readonly mismatched: readonly Mismatch[];
  /** Number of tensors that are known not to be needed. */
  readonly unused: number;
  /** Config keys that nothing tells. */
  readonly undetermined: readonly string[];
  /** False where nothing is known of the class's parameters. */
  readonly checked: boolean;
  /** Why no network can be made with its config. */
  readonly problem?: string;
}

/** One tensor of a report. */
export interface TensorReport {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
}

/** See the file's header. */
export interface Report extends Summary {
  readonly name: string;
  readonly kind: ReportKind;
  /** Id of the family; absent for unknown files. */
  readonly family?: string;
  /** What it is, for people. */
  readonly title: string;
  /** Format of the file, or `"folder"`. */
  readonly format: string;
  /** Class of the pipeline in diffusers, where a folder names one. */
  readonly pipeline?: string;
  readonly components: readonly ComponentReport[];
  /** Scheduler configs by name. */
  readonly schedulers: Readonly<Record<string, JsonObject>>;
  readonly missing: readonly string[];
  readonly unexpected: readonly string[];
  readonly notes: readonly string[];
  /** What the file holds beside tensors; numbers beyond 2^53 are texts, bytes are left out. */
  readonly metadata: JsonObject;
  /** Of an adapter: its kinds, modules and ranks, and the model that it is for. */
  readonly adapter?: {
    readonly kinds: readonly string[];
    readonly modules: number;
    readonly ranks: readonly number[];
    readonly base?: string;
  };
  /** Of an embedding: its word, number of vectors, and the model that it is for. */
  readonly embedding?: {
    readonly token?: string;
    readonly vectors: number;
    readonly base?: string;
  };
  /** All tensors, where asked for. */
  readonly tensorList?: readonly TensorReport[];
  /** Tensors with NaN or infinity, where asked for. */
  readonly nonFinite?: readonly string[];
}

/** What a report should have beside the headers. */
export interface InspectOptions extends LoadOptions {
  /** List every tensor. @default false */
  readonly tensors?: boolean;
  /** Read every tensor and name those with NaN or infinity. @default false */
  readonly values?: boolean;
}

/**
 * Looks at a checkpoint, adapter or embedding.
 *
 * @throws NijimiError for files that are damaged, unsafe or of no format that is read
 * @example
 * const { title, parameters, missing } = await inspectCheckpoint("model.safetensors");
 */
export async function inspectCheckpoint(
  input: SourceInput | Folder,
  options: InspectOptions = {},
): Promise<Report> {
  const opened = await openFolderOrFile(input, options.http);
  const checkpoint =
    opened.kind === "file"
      ? opened.checkpoint
      : await openInFolder(opened.folder, [...ADAPTER_FILES, ...EMBEDDING_FILES]);
  if (!checkpoint) return inspectModel(input, options);
  try {
    const special =
      inspectAdapter(checkpoint) ?? inspectEmbedding(checkpoint) ?? inspectOther(checkpoint);
    if (special) return await withDetails(special, checkpoint.entries, options);
  } finally {
    await checkpoint.close();
  }
  return inspectModel(input, options);
}

async function inspectModel(input: SourceInput | Folder, options: InspectOptions): Promise<Report> {
  const loaded = await describeCheckpoint(input, options);
  try {
    const entries = allEntries(loaded);
    return await withDetails(reportOf(loaded, entries), entries, options);
  } finally {
    await loaded.close();
  }
}

function reportOf(loaded: LoadedCheckpoint, entries: Entries): Report {
  const {
    name,
    family,
    title,
    format,
    pipeline,
    schedulers,
    missing,
    unexpected,
    notes,
    metadata,
  } = loaded;
  const components = Object.entries(loaded.components).map(
    ([component, parts]): ComponentReport => ({
      name: component,
      className: parts.className,
      config: parts.config,
      ...summarise(parts.entries),
      missing: parts.missing,
      unexpected: parts.unexpected,
      mismatched: parts.mismatched,
      unused: parts.unused.length,
      undetermined: parts.undetermined,
      checked: parts.checked,
      problem: parts.refusal?.message,
    }),
  );
  return {
    name,
    kind: "model",
    family,
    title,
    format,
    pipeline,
    ...summarise(entries),
    components,
    schedulers,
    missing,
    unexpected,
    notes,
    metadata: plain(metadata) as JsonObject,
  };
}

/** Metadata as JSON can have it. */
function plain(value: MetadataValue): JsonValue {
  if (typeof value === "bigint") return String(value);
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(plain);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}

/** All tensors of all components, as `component.parameter`. */
function allEntries({ components }: LoadedCheckpoint): Entries {
  const pairs = Object.entries(components).flatMap(([component, { entries }]) =>
    Object.entries(entries).map(([name, entry]) => [`${component}.${name}`, entry] as const),
  );
  return Object.fromEntries(pairs);
}

/** What a report on a single file begins with. */
function plainReport(checkpoint: Checkpoint, kind: ReportKind, title: string): Report {
  const { name, format, metadata, entries } = checkpoint;
  return {
    name,
    kind,
    title,
    format,
    ...summarise(entries),
    components: [],
    schedulers: {},
    missing: [],
    unexpected: [],
    notes: [],
    metadata: plain(metadata) as JsonObject,
  };
}

function inspectAdapter(checkpoint: Checkpoint): Report | undefined {
  if (!isAdapterFile(checkpoint.entries)) return undefined;
  const { modules, others } = readModules(checkpoint.entries);
  const kinds = [...new Set(modules.map(kindOf))];
  const ranks = new Set(
    modules.flatMap(
      ({ parts, factors }) => parts.down?.shape[0] ?? factors.hada_w1_b?.shape[0] ?? [],
    ),
  );
  return {
    ...plainReport(checkpoint, "adapter", `Adapter: ${kinds.join(", ")}`),
    family: "adapter",
    unexpected: others,
    adapter: {
      kinds,
      modules: modules.length,
      ranks: [...ranks].sort((a, b) => a - b),
      base: baseOfAdapter(modules, checkpoint.metadata),
    },
  };
}

function inspectEmbedding(checkpoint: Checkpoint): Report | undefined {
  const embedding = readTextualInversion(checkpoint);
  if (!embedding) return undefined;
  const { token, count, vectors } = embedding;
  return {
    ...plainReport(checkpoint, "embedding", "Textual inversion"),
    family: "textual-inversion",
    embedding: { token, vectors: count, base: baseOfEmbedding(vectors) },
  };
}

/** Families that are recognised and not run, and files of no known family. */
function inspectOther(checkpoint: Checkpoint): Report | undefined {
  const found = unwrap(checkpoint.entries);
  if (!found) return plainReport(checkpoint, "unknown", "Unknown: of no known family");
  if (found.family.support !== "refused") return undefined;
  return {
    ...plainReport(checkpoint, "unsupported", `${found.family.title}, which is not supported`),
    family: found.family.id,
  };
}

async function withDetails(
  report: Report,
  entries: Entries,
  { tensors, values, http }: InspectOptions,
): Promise<Report> {
  const tensorList = Object.entries(entries).map(([name, { dtype, shape, quantization }]) => ({
    name,
    dtype: quantization ?? dtype,
    shape,
  }));
  const nonFinite = values ? await findNonFinite(entries, http?.signal) : undefined;
  return { ...report, ...(tensors && { tensorList }), ...(nonFinite && { nonFinite }) };
}

async function findNonFinite(entries: Entries, signal?: AbortSignal): Promise<string[]> {
  const found: string[] = [];
  for (const [name, entry] of Object.entries(entries)) {
    signal?.throwIfAborted();
    if (!toFloat64(await entry.read()).every((value) => Number.isFinite(value))) found.push(name);
  }
  return found;
}
