/**
 * Portable exports in a second runtime: writes small models as standard ONNX, runs them here, and lets Python's onnx
 * check them and compute the same with its reference evaluator.
 *
 *   NIJIMI_PYTHON=…/python npm run check:onnx      (a Python that has onnx and numpy)
 */
import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gelu, type InputSpec, mean, quickGelu, silu, spec, square, type Sym } from "nijimi/graph";
import {
  autoencoderKl,
  AUTOENCODER_KL_DEFAULTS,
  unet2dCondition,
  UNET_2D_CONDITION_DEFAULTS,
} from "nijimi/models";
import { initialise, type Layer, module, parameterScope } from "nijimi/nn";
import { exportOnnx } from "nijimi/onnx";
import { compile } from "nijimi/runtime";
import { int64, type Tensor, torchGenerator } from "nijimi/tensor";

interface Example {
  readonly specs: Readonly<Record<string, InputSpec>>;
  readonly sizes: Readonly<Record<string, readonly number[]>>;
  readonly layer: Layer<readonly [Readonly<Record<string, Sym>>], Sym>;
}

const unet = unet2dCondition({
  ...UNET_2D_CONDITION_DEFAULTS,
  downBlockTypes: ["CrossAttnDownBlock2D", "DownBlock2D"],
  upBlockTypes: ["UpBlock2D", "CrossAttnUpBlock2D"],
  blockOutChannels: [8, 16],
  layersPerBlock: 1,
  normNumGroups: 4,
  crossAttentionDim: 10,
  attentionHeadDim: 2,
});
const decoder = autoencoderKl({
  ...AUTOENCODER_KL_DEFAULTS,
  blockOutChannels: [8, 16],
  downBlockTypes: ["DownEncoderBlock2D", "DownEncoderBlock2D"],
  upBlockTypes: ["UpDecoderBlock2D", "UpDecoderBlock2D"],
  normNumGroups: 4,
}).decode;

const EXAMPLES: Readonly<Record<string, Example>> = {
  activations: {
    specs: { x: spec("float32", ["n", 8]) },
    sizes: { x: [3, 8] },
    layer: module({}, (_, { x }: Readonly<Record<string, Sym>>) =>
      mean(square(quickGelu(silu(gelu(x))))),
    ),
  },
  unet: {
    specs: {
      sample: spec("float32", ["n", 4, "height", "width"]),
      timestep: spec("int64", ["n"]),
      encoderHiddenStates: spec("float32", ["n", "tokens", 10]),
    },
    sizes: { sample: [2, 4, 7, 8], timestep: [2], encoderHiddenStates: [2, 5, 10] },
    layer: { ...unet, apply: (scope, path, inputs) => unet.apply(scope, path, inputs as never) },
  },
  decoder: {
    specs: { z: spec("float32", ["n", 4, "height", "width"]) },
    sizes: { z: [1, 4, 4, 6] },
    layer: { ...decoder, apply: (scope, path, { z }) => decoder.apply(scope, path, z) },
  },
};

const folder = await mkdtemp(join(tmpdir(), "nijimi-onnx-"));
try {
  for (const [name, { specs, sizes, layer }] of Object.entries(EXAMPLES)) {
    const random = torchGenerator(1);
    const parameters = initialise(layer, random);
    const fn = (inputs: Readonly<Record<string, Sym>>) => ({
      y: layer.apply(parameterScope(), "", inputs),
    });
    const inputs = Object.fromEntries(
      Object.entries(specs).map(([key, { dtype }]) => [
        key,
        dtype === "int64"
          ? int64(
              sizes[key],
              sizes[key]
                .map((_, i) => 100 * (i + 1))
                .concat(500)
                .slice(0, sizes[key][0]),
            )
          : random.randn(sizes[key]),
      ]),
    );
    const run = await compile(fn, specs as never, { parameters });
    const { y } = (await run(inputs as never)) as unknown as { y: Tensor };
    await run.dispose();
    await writeFile(
      join(folder, `${name}.onnx`),
      exportOnnx(fn, specs as never, { parameters, portable: true }).model,
    );
    await writeFile(
      join(folder, `${name}.json`),
      JSON.stringify({ inputs: mapValues(inputs, plain), outputs: { "output.y": plain(y) } }),
    );
  }
  const python = process.env["NIJIMI_PYTHON"] ?? "python3";
  const { status } = spawnSync(
    python,
    [join(import.meta.dirname, "python/check_onnx.py"), folder],
    { stdio: "inherit" },
  );
  process.exitCode = status ?? 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}

function plain({ dtype, shape, data }: Tensor) {
  return { dtype, shape, values: Array.from(data as ArrayLike<number | bigint>, Number) };
}

function mapValues<A, B>(
  record: Readonly<Record<string, A>>,
  fn: (value: A) => B,
): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, fn(value)]));
}
