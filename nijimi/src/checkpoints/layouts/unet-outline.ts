/**
 * The outline of a U-Net in OpenAI's layout (`input_blocks`, `middle_block`, `output_blocks`), which
 * guided-diffusion brought up and latent diffusion, Stable Diffusion, GLIDE and ControlNet took over: how many
 * levels of which width, where attention sits, how it is sampled down. Everything a key map needs, read
 * either from the shapes of a file or from a diffusers config.
 */
import { NijimiError } from "../../errors.ts";
import type { JsonObject, JsonValue } from "../json.ts";
import type { Entries } from "../checkpoint.ts";
import { texts, wholes } from "./config-values.ts";

/** One resolution of the U-Net. */
export interface UNetLevel {
  readonly channels: number;
  /** Residual blocks on the way down; one more on the way up. */
  readonly layers: number;
  /** Whether attention follows every residual block. */
  readonly attention: boolean;
  /** Transformer blocks in each attention; 0 where attention is none or is a plain attention block. */
  readonly depth: number;
}

/** What attention is made of: a spatial transformer with cross-attention, or self-attention alone. */
export type UNetAttention = "transformer" | "self";

/** See the file's header. */
export interface UNetOutline {
  readonly levels: readonly UNetLevel[];
  readonly attention: UNetAttention;
  /** Whether attention stands in the middle, and how many transformer blocks deep. */
  readonly middle: { readonly attention: boolean; readonly depth: number };
  /** Whether residual blocks halve and double the resolution, instead of plain convolutions. */
  readonly residualSampling: boolean;
}

/** True if a state dict has OpenAI's layout. */
export function isOpenAIUNet(entries: Entries): boolean {
  return "input_blocks.0.0.weight" in entries && "middle_block.0.in_layers.0.weight" in entries;
}

/** Reads the outline from names and shapes in OpenAI's layout; the decoder half need not be there. */
export function outlineOfEntries(entries: Entries): UNetOutline {
  const layers = layersPerLevel(entries);
  const count = (lastIndex(entries, "input_blocks") + 1) / (layers + 1);
  if (!Number.isInteger(count))
    throw new NijimiError(
      "checkpoint",
      `U-Net in OpenAI's layout: levels of unequal depth are not known here.`,
    );
  const levels = Array.from({ length: count }, (_, level): UNetLevel => {
    const blocks = Array.from(
      { length: layers },
      (_, j) => `input_blocks.${1 + level * (layers + 1) + j}`,
    );
    const last = blocks[layers - 1];
    return {
      channels: entries[`${last}.0.in_layers.2.weight`]?.shape[0] ?? 0,
      layers,
      attention: hasBelow(entries, `${last}.1`),
      depth: lastIndex(entries, `${last}.1.transformer_blocks`) + 1,
    };
  });
  const names = Object.keys(entries);
  return {
    levels,
    attention: names.some((name) => name.includes(".transformer_blocks.")) ? "transformer" : "self",
    middle: {
      attention: hasBelow(entries, "middle_block.1.norm"),
      depth: lastIndex(entries, "middle_block.1.transformer_blocks") + 1,
    },
    residualSampling: count > 1 && `input_blocks.${layers + 1}.0.in_layers.2.weight` in entries,
  };
}

/** Residual blocks of each level. A convolution called `op`, or the first up-sampling block, ends a level. */
function layersPerLevel(entries: Entries): number {
  const last = lastIndex(entries, "input_blocks");
  for (let n = 1; n <= last; n++) if (hasBelow(entries, `input_blocks.${n}.0.op`)) return n - 1;
  for (let n = 0; n <= lastIndex(entries, "output_blocks"); n++)
    if (
      ["1.conv", "2.conv", "1.in_layers", "2.in_layers"].some((path) =>
        hasBelow(entries, `output_blocks.${n}.${path}`),
      )
    )
      return n;
  if (hasBelow(entries, "output_blocks")) return last;
  // A classifier: an encoder alone, which samples in residual blocks. The smallest depth that fits.
  for (let layers = 1; layers < last; layers++) if (fitsDepth(entries, layers, last)) return layers;
  return last;
}

/** Whether every block that would sample has no attention and keeps its width, and widths change only after it. */
function fitsDepth(entries: Entries, layers: number, last: number): boolean {
  if ((last + 1) % (layers + 1) !== 0) return false;
  for (let n = 1; n <= last; n++) {
    const [out, width] = entries[`input_blocks.${n}.0.in_layers.2.weight`]?.shape ?? [];
    const position = (n - 1) % (layers + 1);
    if (position > 0 && out !== width) return false;
    if (position === layers && hasBelow(entries, `input_blocks.${n}.1`)) return false;
    if (
      position < layers &&
      hasBelow(entries, `input_blocks.${n}.1`) !==
        hasBelow(entries, `input_blocks.${n - position}.1`)
    )
      return false;
  }
  return true;
}

/** Highest number that follows `path` in a name; −1 when there is none. */
export function lastIndex(entries: Entries, path: string): number {
  let last = -1;
  for (const name of Object.keys(entries)) {
    if (!name.startsWith(`${path}.`)) continue;
    const index = Number.parseInt(name.slice(path.length + 1), 10);
    if (index > last) last = index;
  }
  return last;
}

function hasBelow(entries: Entries, path: string): boolean {
  return Object.keys(entries).some((name) => name.startsWith(`${path}.`));
}

/** Reads the outline from a diffusers config (UNet2DModel, UNet2DConditionModel, ControlNetModel). */
export function outlineOfConfig(config: JsonObject): UNetOutline {
  const types = texts(config, "down_block_types");
  const channels = wholes(config, "block_out_channels", types.length);
  const layers = wholes(config, "layers_per_block", types.length);
  const depths = depthsOf(config.transformer_layers_per_block ?? 1, types.length);
  const middle = config.mid_block_type === undefined ? "UNetMidBlock2D" : config.mid_block_type;
  const isTransformer = config.cross_attention_dim !== undefined;
  return {
    levels: types.map((type, i) => {
      const attention = type.includes("Attn");
      return {
        channels: channels[i],
        layers: layers[i],
        attention,
        depth: attention && isTransformer ? depths[i] : 0,
      };
    }),
    attention: isTransformer ? "transformer" : "self",
    middle: {
      attention: typeof middle === "string" && config.add_attention !== false,
      depth: isTransformer ? depths[types.length - 1] : 0,
    },
    residualSampling:
      types.some(
        (type) => type === "ResnetDownsampleBlock2D" || type === "SimpleCrossAttnDownBlock2D",
      ) || config.downsample_type === "resnet",
  };
}

/** Depth of the transformers of every level; where the layers of a level differ, the deepest. */
function depthsOf(value: JsonValue, levels: number): readonly number[] {
  const list = Array.isArray(value) ? value : Array.from({ length: levels }, () => value);
  return list.map((item) => (Array.isArray(item) ? Math.max(...item.map(Number)) : Number(item)));
}
