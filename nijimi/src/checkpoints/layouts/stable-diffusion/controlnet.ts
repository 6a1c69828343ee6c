/** ControlNet's original layout (lllyasviel/ControlNet, `control_model.*`) against diffusers' ControlNetModel. */
import { range } from "../../../internal/range.ts";
import { openAIEncoderMap, type OpenAIUNetOptions } from "../openai-unet.ts";
import type { KeyMap } from "../key-map.ts";
import type { UNetOutline } from "../unet-outline.ts";

/** @param hintConvolutions convolutions in the hint's network, eight in the released ones */
export function controlNetMap(
  outline: UNetOutline,
  hintConvolutions: number,
  options: OpenAIUNetOptions = {},
): KeyMap {
  const residuals = outline.levels.reduce((sum, { layers }) => sum + layers + 1, 0);
  return [
    ...openAIEncoderMap(outline, options),
    // An activation stands between every two convolutions.
    ...range(hintConvolutions).map((i) => ({
      foreign: `input_hint_block.${2 * i}`,
      ours: `controlnet_cond_embedding.${hintName(i, hintConvolutions)}`,
    })),
    ...range(residuals).map((i) => ({
      foreign: `zero_convs.${i}.0`,
      ours: `controlnet_down_blocks.${i}`,
    })),
    { foreign: "middle_block_out.0", ours: "controlnet_mid_block" },
  ];
}

function hintName(i: number, count: number): string {
  if (i === 0) return "conv_in";
  return i === count - 1 ? "conv_out" : `blocks.${i - 1}`;
}
