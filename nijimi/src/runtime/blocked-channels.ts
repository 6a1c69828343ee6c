/**
 * Whether the engine convolves blocks of channels, and how large they are: 16 with AVX-512, 8 with AVX, none elsewhere.
 *
 * ONNX Runtime does not say, so a probe asks its `ReorderInput` operator to block the numbers 0, 1, 2, … and looks.
 */
import type * as ort from "onnxruntime-common";
import { encodeModel } from "../onnx/protobuf.ts";
import { float32, type Tensor } from "../tensor/tensor.ts";

const DOMAIN = "com.microsoft.nchwc";
const CHANNELS = 64;

/** Runs the probe. @param open loads a model @returns channels in a block; undefined where there are no blocks */
export async function findBlockedChannels(
  open: (model: Uint8Array) => Promise<ort.InferenceSession>,
  toOrt: (tensor: Tensor) => ort.Tensor,
): Promise<number | undefined> {
  const shape = [1, CHANNELS, 1, 2];
  const info = { dtype: "float32", shape } as const;
  const model = encodeModel({
    graph: {
      name: "blocked-channels",
      nodes: [
        {
          opType: "ReorderInput",
          domain: DOMAIN,
          name: "reorder",
          inputs: ["x"],
          outputs: ["y"],
          attributes: {},
        },
      ],
      initializers: [],
      inputs: [{ name: "x", ...info }],
      outputs: [{ name: "y", ...info }],
    },
    opsets: { "": 20, [DOMAIN]: 1 },
  });
  try {
    const session = await open(model);
    const values = Float32Array.from({ length: 2 * CHANNELS }, (_, i) => i);
    const { y } = await session.run({ x: toOrt(float32(shape, values)) });
    await session.release();
    // The first pixel of a block's channels comes first, then the second: 0, 2, 4, …, 1, 3, 5, …
    const at = (y.data as Float32Array).indexOf(1);
    return at > 1 && CHANNELS % at === 0 ? at : undefined;
  } catch {
    return undefined;
  }
}
