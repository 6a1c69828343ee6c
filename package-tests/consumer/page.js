// What a user's first web page does; the test reads `globalThis.seen`.
import { add, conv2d, mul, spec } from "nijimi/graph";
import { compile, listDevices } from "nijimi/runtime";
import { float32 } from "nijimi/tensor";

async function run(device) {
  const specs = { x: spec("float32", [1, 1, "height", 2]), w: spec("float32", [1, 1, 1, 1]) };
  const blend = await compile(({ x, w }) => add(conv2d(x, w), mul(x, 2)), specs, { device });
  const w = float32([1, 1, 1, 1], [10]);
  const { data } = await blend({ x: float32([1, 1, 2, 2], [1, 2, 3, 4]), w });
  await blend.dispose();
  return [...data];
}

async function look() {
  const devices = await listDevices();
  const values = {};
  for (const device of devices) values[device] = await run(device);
  return { devices, values, isolated: crossOriginIsolated };
}

globalThis.seen = look().catch((error) => ({ error: String(error) }));
