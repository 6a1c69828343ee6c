/** Pictures prepared for CLIP: Pillow's resize sample by sample, then cut and normalised as openai/CLIP does. */
import { readFile } from "node:fs/promises";
import {
  createImage,
  decodeImage,
  preprocessForClip,
  resizeImage,
  type Channels,
  type Image,
} from "nijimi/images";
import { tensor, type Tensor } from "nijimi/tensor";
import type { Comparison, Suite } from "../case.ts";
import { compareTensors } from "../compare.ts";
import { companionFile } from "./companion-file.ts";

interface TransformConfig {
  /** Side of the square. */
  readonly n_px: number;
  /** The picture, below the collection of cases. */
  readonly png?: string;
}

export const suite: Suite = {
  kind: "images",
  accepts: ({ json }) => json.function === "clip.clip._transform",
  async run(c) {
    const { n_px: size, png } = c.json.config as unknown as TransformConfig;
    const tensors = c.tensors();
    const given = imageOf(tensors["in.rgb"]);
    const resized = tensors["out.resized_u8"];
    const got: Record<string, Tensor> = { out: squeeze(preprocessForClip([given], { size })) };
    if (resized) {
      const [height, width] = resized.shape;
      got["out.resized_u8"] = tensorOf(resizeImage(given, { width, height }));
    }
    const file = png === undefined ? undefined : companionFile(c, png);
    if (file !== undefined) got["in.rgb"] = tensorOf(await decodeImage(await readFile(file)));
    return Object.entries(got).map(([name, value]): Comparison =>
      compareTensors(name, value, tensors[name], c.json.tolerance),
    );
  },
};

/** Rows of pixels, [H, W, C]. */
function imageOf({ shape: [height, width, channels], data }: Tensor): Image {
  return createImage(width, height, channels as Channels, data as Uint8Array);
}

function tensorOf({ width, height, channels, data }: Image): Tensor {
  return tensor("uint8", [height, width, channels], data as Uint8Array);
}

function squeeze({ shape, data }: Tensor<"float32">): Tensor {
  return tensor("float32", shape.slice(1), data);
}
