/**
 * Whether products of unsigned by signed bytes overflow: processors with AVX2 or AVX-512 but without VNNI add two
 * products in 16 bits, which cut off at 32,767. ONNX Runtime does not say; the largest numbers there are tell.
 */
import { MICROSOFT, type OnnxModel } from "../onnx/model.ts";
import { float32, tensor } from "../tensor/tensor.ts";
import type { Device } from "./engine.ts";
import { createSession } from "./session.ts";

const DEPTH = 64;
const COLUMNS = 16;

const found = new Map<Device | undefined, Promise<boolean>>();

/** Runs the probe once per device. Devices other than processors multiply no bytes here. */
export function bytesOverflow(device: Device | undefined): Promise<boolean> {
  if (device !== undefined && device !== "cpu" && device !== "wasm") return Promise.resolve(false);
  const known = found.get(device) ?? probe(device);
  found.set(device, known);
  return known;
}

async function probe(device: Device | undefined): Promise<boolean> {
  const session = await createSession(MODEL, { device, threads: 1 });
  const x = tensor("uint8", [1, DEPTH], new Uint8Array(DEPTH).fill(255));
  const { y } = await session.run({ x });
  await session.dispose();
  return Number(y.data[0]) !== 255 * 127 * DEPTH;
}

const MODEL: OnnxModel = {
  graph: {
    name: "bytes-overflow",
    nodes: [
      {
        opType: "MatMulIntegerToFloat",
        domain: MICROSOFT,
        name: "product",
        inputs: ["x", "w", "one", "ones"],
        outputs: ["y"],
        attributes: {},
      },
    ],
    initializers: [
      {
        name: "w",
        value: tensor("int8", [DEPTH, COLUMNS], new Int8Array(DEPTH * COLUMNS).fill(127)),
      },
      { name: "one", value: float32([], [1]) },
      { name: "ones", value: float32([COLUMNS], new Float32Array(COLUMNS).fill(1)) },
    ],
    inputs: [{ name: "x", dtype: "uint8", shape: [1, DEPTH] }],
    outputs: [{ name: "y", dtype: "float32", shape: [1, COLUMNS] }],
  },
  opsets: { "": 20, [MICROSOFT]: 1 },
};
