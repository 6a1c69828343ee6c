/**
 * "Clip skip": taking the text encoder's output some layers before its end. Two programs count differently.
 *
 * The web UI's 1 is the last layer and its 2 the one before; diffusers' `clip_skip` 1 is already the one before.
 * SDXL always takes the one before the last, without the final norm; diffusers counts on from there, the web UI does
 * not skip at all.
 */
import { NijimiError } from "../../errors.ts";

/** Which hidden state of a text encoder conditions the U-Net. */
export interface HiddenState {
  /** 1: after the last layer, 2: after the one before … */
  readonly fromEnd: number;
  /** Whether the encoder's final norm is applied to it. */
  readonly normalize: boolean;
}

export interface ClipSkipOptions {
  /** As the convention counts; absent: the model's own layer. */
  readonly clipSkip?: number;
  readonly convention: "a1111" | "diffusers";
  /** SDXL's two encoders, or the one of Stable Diffusion 1 and 2. */
  readonly family: "sd" | "sdxl";
  /** Layers of the encoder as it is used. */
  readonly layers: number;
}

/**
 * The hidden state that a clip skip asks for.
 *
 * @throws NijimiError `option` when the encoder has no such layer
 * @example
 * hiddenStateFor({ clipSkip: 2, convention: "a1111", family: "sd", layers: 12 }); // { fromEnd: 2, normalize: true }
 */
export function hiddenStateFor({
  clipSkip,
  convention,
  family,
  layers,
}: ClipSkipOptions): HiddenState {
  const own = family === "sdxl" ? 2 : 1;
  const skip = clipSkip ?? (convention === "a1111" ? 1 : 0);
  const least = convention === "a1111" ? 1 : 0;
  const ignored = convention === "a1111" && family === "sdxl";
  const fromEnd = ignored ? own : own + skip - least;
  if (!Number.isSafeInteger(skip) || skip < least || fromEnd > layers + 1)
    throw new NijimiError(
      "option",
      `clip skip is ${clipSkip}; this text encoder takes ${least} to ${layers + 1 - own + least}.`,
    );
  return { fromEnd, normalize: family === "sd" };
}
