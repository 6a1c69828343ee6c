/**
 * Which weights are quantised, and how, by precision and class. Reasons and measurements:
 * docs/decisions/int8.md.
 */
import { unknownName } from "../../errors.ts";
import type { QuantizedForm } from "../../graph/quantize-weights.ts";

/**
 * How quantised weights are used.
 *
 * - `int8`: convolutions and linear layers of the U-Net multiply bytes by bytes.
 * - `int8-weights`: weights of 8 bits, activations as they are; for little memory.
 * - `int4-weights`: linear layers of 4 bits, convolutions of 8; for less.
 */
export const QUANTIZED_PRECISIONS = ["int8", "int8-weights", "int4-weights"] as const;

export type QuantizedPrecision = (typeof QUANTIZED_PRECISIONS)[number];

/** @throws NijimiError `option` listing the accepted ones */
export function checkPrecision(name: string): QuantizedPrecision {
  const found = QUANTIZED_PRECISIONS.find((precision) => precision === name);
  if (found === undefined) throw unknownName("precision", name, QUANTIZED_PRECISIONS);
  return found;
}

const EIGHT_BITS = { form: "blocks", bits: 8, blockSize: 64 } as const;
const FOUR_BITS = { form: "blocks", bits: 4, blockSize: 32 } as const;

/** What first meets latents, time and sizes, and what last makes latents: a rounding here is in every pixel. */
const U_NET_FLOAT =
  /^(conv_in|conv_out|time_embedding|add_embedding|class_embedding|encoder_hid_proj)\./;

/** Layers that see time or text, a few rows whose largest values are far above the rest. */
const U_NET_FEW_ROWS = /\.(time_emb_proj|attn2\.to_[kv]|add_[kv]_proj)\.weight$/;

const EMBEDDING = /embedding\.weight$/;

/** The form of a parameter; undefined leaves it as it is. */
export function formOf(
  className: string,
  name: string,
  { length: rank }: readonly number[],
  precision: QuantizedPrecision,
): QuantizedForm | undefined {
  if (!name.endsWith(".weight") || (rank !== 2 && rank !== 4)) return undefined;
  if (className.startsWith("CLIPText"))
    return rank === 2 && !EMBEDDING.test(name) ? EIGHT_BITS : undefined;
  if (className !== "UNet2DConditionModel" || U_NET_FLOAT.test(name)) return undefined;
  if (U_NET_FEW_ROWS.test(name)) return EIGHT_BITS;
  if (precision === "int8") return { form: "rows" };
  if (rank === 4) return { form: "channels" };
  return precision === "int8-weights" ? EIGHT_BITS : FOUR_BITS;
}
