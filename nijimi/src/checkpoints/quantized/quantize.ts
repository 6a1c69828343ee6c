/**
 * Quantising a checkpoint: the same networks with small weights, in memory as they are read, or as a folder that is
 * loaded like any other. Tensors are taken one at a time.
 */
import { NijimiError } from "../../errors.ts";
import type { Entries, Entry } from "../checkpoint.ts";
import type { SourceInput } from "../files/open-source.ts";
import type { Component } from "../layouts/component.ts";
import { toPipeline } from "../layouts/folder/to-pipeline.ts";
import { loadCheckpoint, type LoadedCheckpoint, type LoadOptions } from "../layouts/load.ts";
import { saveDiffusersFolder, type SavedComponent } from "../save-folder.ts";
import type { Savable } from "../save-safetensors.ts";
import { quantizedEntry } from "./entries.ts";
import { checkPrecision, formOf, type QuantizedPrecision } from "./policy.ts";
import { quantizationConfig, splitQuantized } from "./stored.ts";

/** How {@link quantizeCheckpoint} quantises. */
export interface QuantizeOptions extends LoadOptions {
  readonly precision: QuantizedPrecision;
  /** Replace what is at the output already. @default false */
  readonly overwrite?: boolean;
  /** Called before every tensor that is read. */
  readonly onTensor?: (done: number, total: number, name: string) => void;
}

/** What was written. */
export interface Quantization {
  readonly output: string;
  /** What the input is, for people. */
  readonly title: string;
  readonly precision: QuantizedPrecision;
  /** Weights that are quantised now, and tensors that stay as they are. */
  readonly quantized: number;
  readonly kept: number;
}

/**
 * Quantises a checkpoint of any layout into a folder.
 *
 * @param output folder to be written, complete or not at all
 * @throws NijimiError `unsupported` for models without a U-Net conditioned on text, `option` for what is quantised already
 * @example
 * await quantizeCheckpoint("v1-5-pruned-emaonly.safetensors", "v1-5-int8", { precision: "int8" });
 * const pipeline = await loadPipeline("v1-5-int8");
 */
export async function quantizeCheckpoint(
  input: SourceInput,
  output: string,
  options: QuantizeOptions,
): Promise<Quantization> {
  checkPrecision(options.precision);
  const loaded = await loadCheckpoint(input, options);
  try {
    return await writeQuantized(loaded, output, options);
  } finally {
    await loaded.close();
  }
}

/** The folder of an open checkpoint. */
export async function writeQuantized(
  loaded: LoadedCheckpoint,
  output: string,
  { precision, overwrite, onTensor }: QuantizeOptions,
): Promise<Quantization> {
  const small = quantizeLoaded(loaded, precision);
  const { components, ...pipeline } = await toPipeline(loaded);
  const written: Record<string, SavedComponent | null> = {};
  const counts = { quantized: 0, kept: 0, done: 0 };
  for (const [name, component] of Object.entries(components)) {
    const entries = small.components[name]?.entries;
    written[name] = component && entries ? stored(component, entries, precision) : component;
    for (const { quantized } of Object.values(entries ?? {}))
      counts[quantized === undefined ? "kept" : "quantized"]++;
  }
  const total = 2 * counts.quantized + counts.kept;
  const watched = Object.fromEntries(
    Object.entries(written).map(([name, component]) => [
      name,
      component && watch(component, (tensor) => onTensor?.(++counts.done, total, tensor)),
    ]),
  );
  await saveDiffusersFolder(output, { ...pipeline, components: watched }, { overwrite });
  const { quantized, kept } = counts;
  return { output, title: loaded.title, precision, quantized, kept };
}

/** The checkpoint with weights that are quantised when they are read. Closing it closes the original. */
export function quantizeLoaded(
  loaded: LoadedCheckpoint,
  precision: QuantizedPrecision,
): LoadedCheckpoint {
  const { components, name, title } = loaded;
  if (isQuantized(loaded))
    throw new NijimiError(
      "option",
      `${name} is quantised already; quantise the model that it was made of.`,
    );
  if (components.unet?.className !== "UNet2DConditionModel")
    throw new NijimiError(
      "unsupported",
      `${name} is ${title}; quantised are Stable Diffusion 1, 2 and XL: their U-Net and text encoders.`,
    );
  const small = Object.fromEntries(
    Object.entries(components).map(([component, own]) => [
      component,
      quantizeComponent(own, precision),
    ]),
  );
  return { ...loaded, components: small };
}

/** Whether any weight is quantised. */
export function isQuantized({ components }: Pick<LoadedCheckpoint, "components">): boolean {
  return Object.values(components).some(({ entries }) =>
    Object.values(entries).some(({ quantized }) => quantized !== undefined),
  );
}

function quantizeComponent(component: Component, precision: QuantizedPrecision): Component {
  const entries = Object.create(null) as Record<string, Entry>;
  for (const [name, entry] of Object.entries(component.entries)) {
    const form = formOf(component.className, name, entry.shape, precision);
    entries[name] = form === undefined ? entry : quantizedEntry(entry, form);
  }
  return { ...component, entries };
}

function stored(
  component: SavedComponent,
  entries: Entries,
  precision: QuantizedPrecision,
): SavedComponent {
  const isSmall = Object.values(entries).some(({ quantized }) => quantized !== undefined);
  return {
    ...component,
    tensors: splitQuantized(entries),
    config: isSmall
      ? { ...component.config, quantization_config: quantizationConfig(precision) }
      : component.config,
  };
}

function watch(component: SavedComponent, next: (name: string) => void): SavedComponent {
  const { tensors } = component;
  if (tensors === undefined) return component;
  const watched: Savable = Object.fromEntries(
    Object.entries(tensors as Entries).map(([name, entry]): [string, Entry] => [
      name,
      {
        ...entry,
        read: () => {
          next(name);
          return entry.read();
        },
      },
    ]),
  );
  return { ...component, tensors: watched };
}
