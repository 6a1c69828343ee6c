/**
 * Converting checkpoints: any file or folder that is read into any of the forms that can hold it. Tensors are
 * taken one at a time; nothing is kept in memory but the one that is being written.
 */
import { NijimiError } from "../errors.ts";
import type { Entries, Entry } from "./checkpoint.ts";
import type { HttpOptions } from "./files/http-source.ts";
import type { SourceInput } from "./files/open-source.ts";
import type { Folder } from "./files/folder.ts";
import { formatJson, type JsonObject } from "./json.ts";
import {
  describeOpened,
  loadCheckpoint,
  type LoadedCheckpoint,
  type LoadOptions,
} from "./layouts/load.ts";
import { openFolderOrFile } from "./layouts/open.ts";
import { refuseUnsuited, savedComponent, toPipeline } from "./layouts/folder/to-pipeline.ts";
import { toSingleFile, type SingleFile } from "./layouts/stable-diffusion/to-single-file.ts";
import { unwrap } from "./layouts/unwrap.ts";
import { saveComponent, saveDiffusersFolder } from "./save-folder.ts";
import { saveSafetensors, type FloatType, type Savable } from "./save-safetensors.ts";

/** The forms that are written. */
export const CONVERSION_TARGETS = ["diffusers", "single", "safetensors"] as const;

export type ConversionTarget = (typeof CONVERSION_TARGETS)[number];

/** How {@link convertCheckpoint} converts. */
export interface ConvertOptions extends LoadOptions {
  /**
   * - `"diffusers"`: a folder as Python's diffusers loads it.
   * - `"single"`: one safetensors file under the original names.
   * - `"safetensors"`: the same tensors under the same names, in a safetensors file.
   * @default for a path that ends in `.safetensors` "single" from folders and "safetensors" from files; else "diffusers"
   */
  readonly to?: ConversionTarget;
  /** Element type of floating-point tensors. @default as they are */
  readonly dtype?: FloatType;
  /** Replace what is at the output already. @default false */
  readonly overwrite?: boolean;
  /** Largest number of bytes of tensors in a file of a folder. @default 5e9 */
  readonly maxShardBytes?: number;
  /** Called before every tensor that is read. */
  readonly onTensor?: (done: number, total: number, name: string) => void;
  /** For URLs. */
  readonly http?: HttpOptions;
}

/** What was written. */
export interface Conversion {
  readonly to: ConversionTarget;
  readonly output: string;
  /** What the input was, for people. */
  readonly title: string;
  readonly tensors: number;
  /** Tensors of the input that the output has no place for, and what else is worth knowing. */
  readonly notes: readonly string[];
}

/**
 * Converts a checkpoint.
 *
 * @param output path of the file or folder to be written
 * @throws NijimiError `unsupported` when the form cannot hold the checkpoint, `file` when the output is there already
 * @example
 * await convertCheckpoint("v1-5-pruned.ckpt", "stable-diffusion-v1-5/", { dtype: "float16" });
 */
export async function convertCheckpoint(
  input: SourceInput | Folder,
  output: string,
  options: ConvertOptions = {},
): Promise<Conversion> {
  const opened = await openFolderOrFile(input, options.http);
  const isFile = /\.safetensors$/i.test(output);
  const to =
    options.to ?? (isFile ? (opened.kind === "folder" ? "single" : "safetensors") : "diffusers");
  if (isFile !== (to !== "diffusers"))
    throw new NijimiError(
      "option",
      `${output} cannot be the output of a conversion to "${to}": ${to === "diffusers" ? "name a folder" : 'name a file that ends in ".safetensors"'}.`,
    );
  if (opened.kind === "file") {
    if (to === "safetensors") return rewriteFile(opened.checkpoint, output, options);
    await opened.checkpoint.close();
  }
  const loaded = await loadCheckpoint(input, options);
  try {
    return to === "diffusers"
      ? await writeFolder(loaded, output, options)
      : await writeFile(loaded, output, to, options);
  } finally {
    await loaded.close();
  }
}

/** The same tensors in another format. What training code wrapped around a network is left out. */
async function rewriteFile(
  {
    entries,
    metadata,
    name,
    close,
  }: {
    readonly entries: Entries;
    readonly metadata: object;
    readonly name: string;
    close(): Promise<void>;
  },
  output: string,
  options: ConvertOptions,
): Promise<Conversion> {
  try {
    const found = unwrap(entries);
    const inner = found?.entries ?? entries;
    const strings = Object.entries(metadata).filter(
      (pair): pair is [string, string] => typeof pair[1] === "string",
    );
    await refuseExisting(output, options);
    const header = { format: "pt", ...Object.fromEntries(strings) };
    await saveSafetensors(output, tracked(inner, options), {
      dtype: options.dtype,
      metadata: header,
    });
    const outside = found?.outside.length ?? 0;
    return {
      to: "safetensors",
      output,
      title: found?.family.title ?? name,
      tensors: Object.keys(inner).length,
      notes: outside > 0 ? [`${outside} tensors beside the network are left out.`] : [],
    };
  } finally {
    await close();
  }
}

async function writeFolder(
  loaded: LoadedCheckpoint,
  output: string,
  options: ConvertOptions,
): Promise<Conversion> {
  const { dtype, overwrite, maxShardBytes } = options;
  const notes = notesOf(loaded);
  const [single, ...others] = Object.values(loaded.components);
  const report = progress(
    Object.values(loaded.components).map(({ entries }) => entries),
    options,
  );
  if (
    others.length === 0 &&
    loaded.pipeline === undefined &&
    Object.keys(loaded.schedulers).length === 0
  ) {
    if (!single)
      throw new NijimiError(
        "unsupported",
        `${loaded.name} is ${loaded.title}; there is no network in it to convert.`,
      );
    refuseUnsuited(loaded.name, single);
    await refuseExisting(output, options);
    await saveComponent(output, track(savedComponent(single), report), { dtype, maxShardBytes });
  } else {
    const pipeline = await toPipeline(loaded);
    const components = Object.fromEntries(
      Object.entries(pipeline.components).map(([name, component]) => [
        name,
        component && track(component, report),
      ]),
    );
    await saveDiffusersFolder(
      output,
      { ...pipeline, components },
      { dtype, overwrite, maxShardBytes },
    );
    for (const [name, component] of Object.entries(components))
      if (component === null && name.startsWith("tokenizer"))
        notes.push(`${name} is left out: its vocabulary is not CLIP's, and the input has none.`);
  }
  return { to: "diffusers", output, title: loaded.title, tensors: report.total, notes };
}

async function writeFile(
  loaded: LoadedCheckpoint,
  output: string,
  to: "single" | "safetensors",
  options: ConvertOptions,
): Promise<Conversion> {
  const file = to === "single" ? toSingleFile(loaded) : plainFile(loaded);
  await refuseExisting(output, options);
  await saveSafetensors(output, tracked(file.entries, options), {
    dtype: options.dtype,
    metadata: file.metadata,
  });
  const notes = notesOf(loaded);
  if (to === "single" && (await needsArchitecture(loaded, file))) {
    const companion = output.replace(/\.safetensors$/i, ".architecture.json");
    const { writeFile: write } = await import("#files");
    await write(companion, [new TextEncoder().encode(formatJson(file.architecture))]);
    notes.push(`${companion} holds what shapes do not tell; keep it beside the file.`);
  }
  if (Object.keys(loaded.files).length > 0)
    notes.push("Tokenizers are left out: a single file has no place for them.");
  return { to, output, title: loaded.title, tensors: Object.keys(file.entries).length, notes };
}

/** The networks of a folder in one file under our names, a single network without its name in front. */
function plainFile({ components, name }: LoadedCheckpoint): SingleFile {
  const parts = Object.entries(components);
  if (parts.length === 0) throw new NijimiError("unsupported", `${name} holds no network.`);
  const pairs = parts.flatMap(([component, { entries }]) =>
    Object.entries(entries).map(
      ([parameter, entry]) =>
        [parts.length === 1 ? parameter : `${component}.${parameter}`, entry] as const,
    ),
  );
  return { entries: Object.fromEntries(pairs), metadata: { format: "pt" }, architecture: {} };
}

/** Whether a reader that sees the file alone would find other configs than those that it was written from. */
async function needsArchitecture(
  { components }: LoadedCheckpoint,
  { entries, metadata }: SingleFile,
): Promise<boolean> {
  const written = {
    format: "safetensors",
    name: "",
    metadata,
    entries,
    close: async () => {},
  } as const;
  const found = await describeOpened(written);
  return Object.entries(found.components).some(([name, { config, undetermined }]) => {
    const original: JsonObject = components[name]?.config ?? {};
    const differs = (key: string) => key in original && !same(original[key], config[key]);
    return undetermined.length > 0 || DECISIVE.some(differs);
  });
}

/** Config values that shapes do not tell. */
const DECISIVE = [
  "attention_head_dim",
  "norm_num_groups",
  "scaling_factor",
  "num_attention_heads",
  "hidden_act",
  "num_hidden_layers",
];

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function notesOf({ unexpected, notes }: LoadedCheckpoint): string[] {
  if (unexpected.length === 0) return [...notes];
  const some = unexpected.slice(0, 3).join(", ");
  return [
    ...notes,
    `${unexpected.length} tensors that nothing takes are left out: ${some}${unexpected.length > 3 ? ", …" : ""}.`,
  ];
}

async function refuseExisting(
  output: string,
  { overwrite = false }: ConvertOptions,
): Promise<void> {
  if (overwrite) return;
  const { openFile, openFolder } = await import("#files");
  const file = await openFile(output).catch(() => undefined);
  await file?.close();
  const folder = file ? undefined : await openFolder(output).catch(() => undefined);
  if (file || ((await folder?.list()) ?? []).length > 0)
    throw new NijimiError(
      "file",
      `${output} is there already. Name another output, or allow it to be replaced.`,
    );
}

/** Counts tensors as they are read. */
interface ProgressCount {
  readonly total: number;
  next(name: string): void;
}

function progress(all: readonly Entries[], { onTensor }: ConvertOptions): ProgressCount {
  const total = all.reduce((sum, entries) => sum + Object.keys(entries).length, 0);
  let done = 0;
  return { total, next: (name) => onTensor?.(++done, total, name) };
}

function tracked(entries: Entries, options: ConvertOptions): Entries {
  const count = progress([entries], options);
  return watched(entries, count);
}

function watched(entries: Entries, count: ProgressCount): Entries {
  const pairs = Object.entries(entries).map(([name, entry]): [string, Entry] => [
    name,
    {
      ...entry,
      read: () => {
        count.next(name);
        return entry.read();
      },
    },
  ]);
  return Object.fromEntries(pairs);
}

function track<C extends { readonly tensors?: Savable }>(component: C, count: ProgressCount): C {
  return component.tensors
    ? { ...component, tensors: watched(component.tensors as Entries, count) }
    : component;
}
