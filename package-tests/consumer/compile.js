// What a user's first program does. It prints what it saw as one line of JSON.
import { add, matmul, mul, spec } from "nijimi/graph";
import { compile, listDevices } from "nijimi/runtime";
import { float32 } from "nijimi/tensor";

const warnings = [];
process.on("warning", ({ code, message }) => warnings.push({ code, message }));

const affine = await compile(({ x, w }) => ({ y: add(matmul(x, w), mul(x, 2)) }), {
  x: spec("float32", ["rows", 2]),
  w: spec("float32", [2, 2]),
});
const w = float32([2, 2], [0, 1, 1, 0]);
const two = await affine({ x: float32([2, 2], [1, 2, 3, 4]), w });
const one = await affine({ x: float32([1, 2], [5, 6]), w });
await affine.dispose();

const input = { x: spec("float32", [1]) };
const refused = await compile(({ x }) => mul(x, 2), input, { device: "coreml" }).catch((error) => ({
  code: error.code,
  message: error.message,
}));
console.log(
  JSON.stringify({
    devices: await listDevices(),
    values: [...two.y.data, ...one.y.data],
    shapes: [two.y.shape, one.y.shape],
    refused,
    warnings,
  }),
);
