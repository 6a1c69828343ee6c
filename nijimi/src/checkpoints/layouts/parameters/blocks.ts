/** Parameter tables of the blocks that diffusers' networks share. */
import { conv2d, linear, norm, type ParameterTable } from "./table.ts";

/** Options of a residual block. */
export interface ResidualOptions {
  /** Width of the time embedding; 0 for none. */
  readonly time: number;
  /** The time embedding gives scale and shift instead of a shift. @default false */
  readonly scaleShift?: boolean;
  /** A 1×1 convolution on the skip even where the widths agree. @default false */
  readonly alwaysShortcut?: boolean;
}

/** ResnetBlock2D. */
export function residual(
  table: ParameterTable,
  path: string,
  input: number,
  output: number,
  options: ResidualOptions,
): void {
  norm(table, `${path}.norm1`, input);
  conv2d(table, `${path}.conv1`, input, output, 3);
  if (options.time > 0)
    linear(table, `${path}.time_emb_proj`, options.time, options.scaleShift ? 2 * output : output);
  norm(table, `${path}.norm2`, output);
  conv2d(table, `${path}.conv2`, output, output, 3);
  if (input !== output || options.alwaysShortcut)
    conv2d(table, `${path}.conv_shortcut`, input, output, 1);
}

/** Attention over pixels with a norm of its own, as UNet2DModel and the autoencoders have it. */
export function selfAttention(table: ParameterTable, path: string, channels: number): void {
  norm(table, `${path}.group_norm`, channels);
  for (const name of ["to_q", "to_k", "to_v", "to_out.0"])
    linear(table, `${path}.${name}`, channels, channels);
}

/** Attention whose context has keys and values of its own beside the pixels' (Imagen, unCLIP). */
export function addedAttention(
  table: ParameterTable,
  path: string,
  channels: number,
  context: number,
  onlyCross: boolean,
): void {
  norm(table, `${path}.group_norm`, channels);
  linear(table, `${path}.to_q`, channels, channels);
  if (!onlyCross) {
    linear(table, `${path}.to_k`, channels, channels);
    linear(table, `${path}.to_v`, channels, channels);
  }
  linear(table, `${path}.add_k_proj`, context, channels);
  linear(table, `${path}.add_v_proj`, context, channels);
  linear(table, `${path}.to_out.0`, channels, channels);
}

/** Options of a spatial transformer. */
export interface TransformerOptions {
  readonly depth: number;
  /** Width of the context. */
  readonly context: number;
  /** Projections are linear layers, not 1×1 convolutions. */
  readonly linearProjection: boolean;
  /** The first attention looks at the context as well. */
  readonly onlyCross: boolean;
}

/** Transformer2DModel over an image. */
export function spatialTransformer(
  table: ParameterTable,
  path: string,
  channels: number,
  options: TransformerOptions,
): void {
  const project = (name: string) =>
    options.linearProjection
      ? linear(table, `${path}.${name}`, channels, channels)
      : conv2d(table, `${path}.${name}`, channels, channels, 1);
  norm(table, `${path}.norm`, channels);
  project("proj_in");
  for (let i = 0; i < options.depth; i++)
    transformerBlock(table, `${path}.transformer_blocks.${i}`, channels, options);
  project("proj_out");
}

function transformerBlock(
  table: ParameterTable,
  path: string,
  width: number,
  { context, onlyCross }: TransformerOptions,
): void {
  norm(table, `${path}.norm1`, width);
  attention(table, `${path}.attn1`, width, onlyCross ? context : width);
  norm(table, `${path}.norm2`, width);
  attention(table, `${path}.attn2`, width, context);
  norm(table, `${path}.norm3`, width);
  linear(table, `${path}.ff.net.0.proj`, width, 8 * width);
  linear(table, `${path}.ff.net.2`, 4 * width, width);
}

function attention(table: ParameterTable, path: string, width: number, context: number): void {
  linear(table, `${path}.to_q`, width, width, false);
  linear(table, `${path}.to_k`, context, width, false);
  linear(table, `${path}.to_v`, context, width, false);
  linear(table, `${path}.to_out.0`, width, width);
}
