/**
 * Low-rank adapters of all kinds and names, matched against the networks of a checkpoint: per parameter what is
 * added to it. What does not match is listed, never passed over.
 */
import { NijimiError } from "../../errors.ts";
import { toFloat32, toFloat64 } from "../../tensor/convert.ts";
import { tensor } from "../../tensor/tensor.ts";
import type { Checkpoint, Entries, Entry, Metadata } from "../checkpoint.ts";
import type { HttpOptions } from "../files/http-source.ts";
import type { SourceInput } from "../files/open-source.ts";
import type { JsonObject } from "../json.ts";
import type { Folder } from "../files/folder.ts";
import { openFolderOrFile } from "../layouts/open.ts";
import { fits, type FullDelta, type LowRankDelta, type WeightDelta } from "./delta.ts";
import { ADAPTER_FILES, openInFolder, readAdapterConfig } from "./in-folder.ts";
import { isAdapterFile, kindOf, readModules, type AdapterModule } from "./modules.ts";
import { peftSettings, type PeftSettings } from "./peft-metadata.ts";
import { kroneckerRank, readHadamard, readKronecker } from "./products.ts";
import { targetFinder, type AdapterTargets, type TargetModule } from "./targets.ts";

/** Something in the file that no parameter takes. */
export interface Unmatched {
  /** The module's or tensor's name in the file. */
  readonly name: string;
  readonly reason: string;
}

/** An adapter that belongs to a set of networks. */
export interface Adapter {
  /** Kinds of its modules, such as `["LoRA", "LoCon"]`. */
  readonly kinds: readonly string[];
  /** Deltas by component and parameter: `deltas.unet["mid_block.….to_q.weight"]`. */
  readonly deltas: Readonly<Record<string, Readonly<Record<string, WeightDelta>>>>;
  readonly unmatched: readonly Unmatched[];
  readonly metadata: Metadata;
}

/** An adapter read from a file. */
export interface LoadedAdapter extends Adapter {
  readonly name: string;
  close(): Promise<void>;
}

/** How {@link loadAdapter} reads. */
export interface AdapterOptions {
  /** PEFT's `adapter_config.json`, for files that PEFT itself wrote. */
  readonly config?: JsonObject;
  /** For URLs. */
  readonly http?: HttpOptions;
}

/**
 * Opens a file of LoRA, LoCon, LoHa, LoKr or DoRA adapters under kohya's, PEFT's or diffusers' names.
 * Alphas are read at once; factors when they are asked for.
 *
 * @param input a file, or a folder as diffusers and PEFT write it
 * @param targets the networks it is for, e.g. the `components` of a loaded checkpoint
 * @throws NijimiError `format` when the file holds no adapters, `checkpoint` when nothing in it matches
 * @example
 * const { components } = await loadCheckpoint("model.safetensors");
 * const adapter = await loadAdapter("style.safetensors", components);
 * for (const { name, reason } of adapter.unmatched) console.warn(`${name}: ${reason}`);
 */
export async function loadAdapter(
  input: SourceInput | Folder,
  targets: AdapterTargets,
  options: AdapterOptions = {},
): Promise<LoadedAdapter> {
  const { checkpoint, config } = await openAdapter(input, options);
  try {
    const adapter = await matchCheckpoint(checkpoint, targets, config);
    return { ...adapter, name: checkpoint.name, close: () => checkpoint.close() };
  } catch (error) {
    await checkpoint.close();
    throw error;
  }
}

async function openAdapter(
  input: SourceInput | Folder,
  { config, http }: AdapterOptions,
): Promise<{ readonly checkpoint: Checkpoint; readonly config?: JsonObject }> {
  const opened = await openFolderOrFile(input, http);
  if (opened.kind === "file") return { checkpoint: opened.checkpoint, config };
  const checkpoint = await openInFolder(opened.folder, ADAPTER_FILES);
  if (checkpoint) return { checkpoint, config: config ?? (await readAdapterConfig(opened.folder)) };
  throw new NijimiError(
    "file",
    `${opened.folder.name} holds no adapter; looked for ${ADAPTER_FILES.map((stem) => `${stem}.safetensors`).join(", ")}.`,
  );
}

async function matchCheckpoint(
  { name, entries, metadata }: Checkpoint,
  targets: AdapterTargets,
  config?: JsonObject,
): Promise<Adapter> {
  if (!isAdapterFile(entries)) {
    const some = Object.keys(entries).slice(0, 3).join(", ");
    throw new NijimiError(
      "format",
      `${name} is not a file of low-rank adapters; it holds ${some}, ….`,
    );
  }
  const adapter = await matchAdapter(entries, metadata, targets, config);
  if (Object.keys(adapter.deltas).length > 0) return adapter;
  const [first] = adapter.unmatched;
  throw new NijimiError(
    "checkpoint",
    `${name} is an adapter for another model: none of its ${adapter.unmatched.length} modules matches ${Object.keys(targets).join(", ")}; ${first.name}: ${first.reason}.`,
  );
}

/**
 * Matches the tensors of an adapter's file with networks.
 *
 * @param config PEFT's `adapter_config.json`, where there is one
 */
export async function matchAdapter(
  entries: Entries,
  metadata: Metadata,
  targets: AdapterTargets,
  config?: JsonObject,
): Promise<Adapter> {
  const { modules, others } = readModules(entries);
  const find = targetFinder(targets);
  const settings = peftSettings(metadata, config);
  const deltas: Record<string, Record<string, WeightDelta>> = {};
  const unmatched: Unmatched[] = others.map((name) => ({ name, reason: "not part of an adapter" }));
  const add = (name: string, component: string, parameter: string, delta: WeightDelta) => {
    deltas[component] ??= {};
    const own = deltas[component];
    if (parameter in own)
      unmatched.push({ name, reason: `${component}.${parameter} has an adapter already` });
    else own[parameter] = delta;
  };
  for (const module of modules) {
    const target = find(module.name);
    if (!target) {
      unmatched.push({ name: module.name, reason: "no such module in the model" });
      continue;
    }
    const { entries: parameters } = targets[target.component];
    const made = await deltasOf(module, target, settings);
    if (made.length === 0)
      unmatched.push({
        name: module.name,
        reason: `incomplete or of a kind that is not supported (${kindOf(module)})`,
      });
    for (const { suffix, delta } of made) {
      const parameter = `${target.path}.${suffix}`;
      const shape = parameters[parameter]?.shape;
      const problem = shape === undefined ? "no such parameter in the model" : misfit(delta, shape);
      if (problem === undefined) add(module.name, target.component, parameter, delta);
      else unmatched.push({ name: module.name, reason: problem });
    }
  }
  return { kinds: [...new Set(modules.map(kindOf))], deltas, unmatched, metadata };
}

function misfit(delta: WeightDelta, shape: readonly number[]): string | undefined {
  if (delta.kind === "full" || fits(delta, shape)) return undefined;
  return `factors [${delta.up.shape}] and [${delta.down.shape}] do not fit the parameter's shape [${shape}]`;
}

interface MadeDelta {
  readonly suffix: "weight" | "bias";
  readonly delta: WeightDelta;
}

/** What a module adds to its weight and bias. */
async function deltasOf(
  module: AdapterModule,
  target: TargetModule,
  settings: PeftSettings,
): Promise<MadeDelta[]> {
  const { parts, factors } = module;
  const made: MadeDelta[] = [];
  const alpha = parts.alpha
    ? toFloat64(await parts.alpha.read())[0]
    : settings.alphaOf(target.component, target.path);
  const scaleFor = (rank: number) => {
    const known = alpha === undefined || alpha === 0 || !Number.isFinite(alpha) ? rank : alpha;
    const divisor = settings.isRankStabilised(target.component) ? Math.sqrt(rank) : rank;
    return { alpha: known, rank, scale: known / divisor, magnitude: parts.magnitude };
  };
  if (parts.down && parts.up) {
    const { down, up, mid } = parts;
    const delta: LowRankDelta = { kind: "low-rank", down, up, mid, ...scaleFor(down.shape[0]) };
    made.push({ suffix: "weight", delta });
  } else if (factors.hada_w1_b && factors.hada_w2_b) {
    const read = () => readHadamard(factors);
    made.push({
      suffix: "weight",
      delta: { kind: "full", read, ...scaleFor(factors.hada_w1_b.shape[0]) },
    });
  } else if (Object.keys(factors).some((name) => name.startsWith("lokr"))) {
    const rank = kroneckerRank(factors);
    const scale = rank === undefined ? { scale: 1, magnitude: parts.magnitude } : scaleFor(rank);
    made.push({
      suffix: "weight",
      delta: { kind: "full", read: () => readKronecker(factors), ...scale },
    });
  } else if (parts.difference) made.push({ suffix: "weight", delta: difference(parts.difference) });
  if (parts.biasDifference) made.push({ suffix: "bias", delta: difference(parts.biasDifference) });
  if (parts.bias)
    made.push({
      suffix: "bias",
      delta: { ...difference(parts.bias), scale: made[0]?.delta.scale ?? 1 },
    });
  return made;
}

function difference(entry: Entry): FullDelta {
  const read = async () => tensor("float32", entry.shape, toFloat32(await entry.read()));
  return { kind: "full", scale: 1, read };
}
