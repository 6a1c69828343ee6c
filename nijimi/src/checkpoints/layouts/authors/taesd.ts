/**
 * madebyollin/taesd against diffusers' AutoencoderTiny. Both are flat sequences of layers; TAESD's decoder
 * counts a clamp before its first convolution. Files hold both halves below `encoder` and `decoder`, or one of
 * them alone.
 */
import { range } from "../../../internal/range.ts";
import type { Entries } from "../../checkpoint.ts";
import { lastIndex } from "../unet-outline.ts";
import type { KeyMap } from "../key-map.ts";
import type { FoundConfig } from "../component.ts";
import { header, shapeOf } from "../stable-diffusion/configs.ts";

/** Names as in a file with both halves. */
export function taesdMap(entries: Entries): KeyMap {
  const encoder = range(lastIndex(entries, "encoder") + 1);
  const decoder = range(lastIndex(entries, "decoder"));
  return [
    ...encoder.map((i) => ({ foreign: `encoder.${i}`, ours: `encoder.layers.${i}` })),
    ...decoder.map((i) => ({ foreign: `decoder.${i + 1}`, ours: `decoder.layers.${i}` })),
  ];
}

/** A file with one half alone gets that half's name in front. */
export function withHalf(half: "encoder" | "decoder", entries: Entries): Entries {
  return Object.fromEntries(
    Object.entries(entries).map(([name, entry]) => [`${half}.${name}`, entry]),
  );
}

/**
 * AutoencoderTiny's config. `middle_norm`, which diffusers does not know, says that the blocks at the lowest
 * resolution have a second branch with a group norm, as in TAEF2.
 */
export function taesdConfig(entries: Entries): FoundConfig {
  const encoder = blockCounts(entries, "encoder");
  const decoder = blockCounts(entries, "decoder");
  const latent =
    entries["decoder.1.weight"]?.shape[1] ??
    shapeOf(entries, `encoder.${lastIndex(entries, "encoder")}.weight`)[0];
  const width = (entries["decoder.1.weight"] ?? entries["encoder.0.weight"]).shape[0];
  const mirrored = (counts: readonly number[], other: readonly number[]) =>
    counts.length > 0 ? counts : other.toReversed();
  const encoderCounts = mirrored(encoder, decoder);
  const decoderCounts = mirrored(decoder, encoder);
  const hasPool = Object.keys(entries).some((name) => /^(en|de)coder\.\d+\.pool\./.test(name));
  const config = {
    ...header("AutoencoderTiny"),
    act_fn: "relu",
    in_channels: entries["encoder.0.weight"]?.shape[1] ?? 3,
    out_channels: entries[`decoder.${lastIndex(entries, "decoder")}.weight`]?.shape[0] ?? 3,
    latent_channels: latent,
    encoder_block_out_channels: encoderCounts.map(() => width),
    decoder_block_out_channels: decoderCounts.map(() => width),
    num_encoder_blocks: [...encoderCounts],
    num_decoder_blocks: [...decoderCounts],
    upsampling_scaling_factor: 2,
    latent_magnitude: 3,
    latent_shift: 0.5,
    scaling_factor: 1,
    force_upcast: false,
    middle_norm: hasPool,
  };
  return { config, undetermined: [] };
}

/** Residual blocks between plain convolutions. */
function blockCounts(entries: Entries, half: "encoder" | "decoder"): number[] {
  const counts: number[] = [];
  let current = 0;
  for (let i = half === "encoder" ? 1 : 2; i <= lastIndex(entries, half); i++) {
    if (`${half}.${i}.conv.0.weight` in entries) current++;
    else if (`${half}.${i}.weight` in entries) {
      counts.push(current);
      current = 0;
    }
  }
  return counts;
}
