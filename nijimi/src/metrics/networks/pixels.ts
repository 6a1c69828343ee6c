/**
 * Colours themselves as features: every picture averaged down to a small grid. Needs no weights; says how far apart
 * two sets are in layout and colour, and nothing about what they show.
 */
import { resizeFloats } from "../../images/resize/resize.ts";
import { float32 } from "../../tensor/tensor.ts";
import type { FeatureNetwork } from "./feature-network.ts";

/** @param side of the grid; features have 3 · side² numbers from 0 to 1 @default 8 */
export function pixelNetwork(side = 8): FeatureNetwork {
  const dimensions = 3 * side * side;
  return {
    name: `pixels ${side}×${side}`,
    resize: `box ${side}`,
    dimensions: { features: dimensions },
    embed: async (pictures) => {
      const out = new Float32Array(pictures.length * dimensions);
      pictures.forEach(({ width, height, data }, n) => {
        const plane = { width, height, channels: 3, data: Float32Array.from(data) };
        const small = resizeFloats(plane, { width: side, height: side, filter: "box" });
        for (let i = 0; i < dimensions; i++) out[n * dimensions + i] = small.data[i] / 255;
      });
      return { features: float32([pictures.length, dimensions], out) };
    },
    dispose: async () => {},
  };
}
