/**
 * Memory of sessions: creates, runs and disposes 200, and compares the resident size at the end with the one after
 * the first 20. Ends non-zero above 5 %.
 *
 *   npm run bench -- session-memory
 */
import { conv2d, groupNorm, parameter, silu, spec } from "nijimi/graph";
import { compile } from "nijimi/runtime";
import { torchGenerator } from "nijimi/tensor";

const SESSIONS = 200;
const SETTLED = 20;
const random = torchGenerator(0);
const weight = random.randn([64, 64, 3, 3]);
const x = random.randn([1, 64, 32, 32]);
let after20 = 0;
for (let i = 1; i <= SESSIONS; i++) {
  const run = await compile(
    ({ image }) =>
      silu(groupNorm(conv2d(image, parameter("w", [64, 64, 3, 3]), undefined, { padding: 1 }), 8)),
    { image: spec("float32", ["n", 64, "height", "width"]) },
    { parameters: { w: weight }, threads: 2 },
  );
  await run({ image: x });
  await run.dispose();
  if (i === SETTLED) after20 = resident();
}
const growth = resident() / after20 - 1;
process.stdout.write(
  `${SESSIONS} sessions: ${(after20 / 2 ** 20).toFixed(0)} MB after ${SETTLED}, ${(growth * 100).toFixed(1)} % more at the end\n`,
);
process.exitCode = growth > 0.05 ? 1 : 0;

function resident(): number {
  (globalThis as { gc?: () => void }).gc?.();
  return process.memoryUsage.rss();
}
