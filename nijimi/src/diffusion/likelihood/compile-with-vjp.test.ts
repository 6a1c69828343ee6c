import { expect, it } from "vitest";
import { add, constant, matmul, mul, reshape, tanh } from "../../graph/ops.ts";
import { float32 } from "../../tensor/tensor.ts";
import { compileWithVjp } from "./compile-with-vjp.ts";

it("gives value and vᵀJ of a traced network", async () => {
  const weight = float32([2, 2], [1, -2, 0.5, 3]);
  const network = await compileWithVjp(
    (x, level) => add(tanh(matmul(x, constant(weight))), mul(x, reshape(level, [2, 1]))),
    [2, 2],
  );
  const x = float32([2, 2], [0.1, 0.3, -0.2, 0.4]);
  const v = float32([2, 2], [1, -1, 0.5, 2]);
  const { value, vjp } = await network.call(x, 0.7, v);
  await network.dispose();
  for (const b of [0, 1]) {
    const [p, q] = x.data.subarray(2 * b, 2 * b + 2);
    const h = [Math.tanh(p + 0.5 * q), Math.tanh(-2 * p + 3 * q)];
    const g = h.map((y, j) => (1 - y * y) * v.data[2 * b + j]); // vᵀ·∂tanh
    expect(value.data[2 * b]).toBeCloseTo(h[0] + 0.7 * p, 5);
    expect(vjp.data[2 * b]).toBeCloseTo(g[0] - 2 * g[1] + 0.7 * v.data[2 * b], 5);
    expect(vjp.data[2 * b + 1]).toBeCloseTo(0.5 * g[0] + 3 * g[1] + 0.7 * v.data[2 * b + 1], 5);
  }
});
