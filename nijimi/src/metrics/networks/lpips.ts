/** LPIPS with weights from files, over pairs of pictures. */
import type { SourceInput } from "../../checkpoints/files/open-source.ts";
import { NijimiError } from "../../errors.ts";
import { cast, sub, div } from "../../graph/ops.ts";
import { spec } from "../../graph/trace.ts";
import { lpips, type LpipsNet, lpipsTrunkKey } from "../../models/lpips.ts";
import { parameterScope } from "../../nn/scopes.ts";
import { compile } from "../../runtime/compile.ts";
import type { SessionOptions } from "../../runtime/session.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { KNOWN_WEIGHTS } from "./known-weights.ts";
import { groupBySize, type Rgb, stackRgb } from "./rgb.ts";
import { checkWeights, readWeightsFile, renameAll } from "./weights-file.ts";

/** A network that measures how different two pictures look. */
export interface PerceptualNetwork {
  /** `"LPIPS (alex)"`, or with the hash where the weights are not the published ones. */
  readonly name: string;
  /** Distance of each pair; the two pictures of a pair must have one size. */
  compare(pairs: readonly (readonly [Rgb, Rgb])[]): Promise<Float64Array>;
  dispose(): Promise<void>;
}

/** Files of a network's weights. */
export interface LpipsFiles {
  /** The authors' weights of the layers, `alex.pth`; or a file with the trunk as well. */
  readonly layers: SourceInput;
  /** torchvision's classifier. @default in `layers` */
  readonly trunk?: SourceInput;
}

/**
 * Opens LPIPS.
 *
 * @throws NijimiError `checkpoint` for weights that do not fit, naming their hash
 * @example
 * const network = await openLpips("alex", { layers: "lpips-alex.pth", trunk: "alexnet-owt-7be5be79.pth" });
 */
export async function openLpips(
  net: LpipsNet,
  files: LpipsFiles,
  options: SessionOptions = {},
): Promise<PerceptualNetwork> {
  const network = lpips(net);
  const layers = await readWeightsFile(files.layers);
  const trunk = files.trunk === undefined ? undefined : await readWeightsFile(files.trunk);
  const parameters: Record<string, Tensor> = {
    ...renameAll(layers.tensors, (key) =>
      key in network.parameters ? key : lpipsTrunkKey(net, key),
    ),
    ...(trunk && renameAll(trunk.tensors, (key) => lpipsTrunkKey(net, key))),
  };
  checkWeights(layers, `LPIPS ${net}`, network.parameters, parameters);
  const run = await compile(
    ({ a, b }) => {
      const signed = (x: typeof a) => sub(div(cast(x, "float32"), 127.5), 1);
      return network.apply(parameterScope(), "", signed(a), signed(b)).distance;
    },
    {
      a: spec("uint8", ["batch", 3, "height", "width"]),
      b: spec("uint8", ["batch", 3, "height", "width"]),
    },
    { ...options, parameters },
  );
  const isPublished = layers.sha256 === KNOWN_WEIGHTS[`lpips-${net}`].sha256;
  return {
    name: `LPIPS (${net}${isPublished ? "" : `, sha256 ${layers.sha256.slice(0, 12)}`})`,
    compare: async (pairs) => {
      const out = new Float64Array(pairs.length);
      for (const [a, b] of pairs)
        if (a.width !== b.width || a.height !== b.height)
          throw new NijimiError(
            "shape",
            `LPIPS compares pictures of one size; got ${a.width}×${a.height} and ${b.width}×${b.height}.`,
          );
      for (const group of groupBySize(pairs.map(([a]) => a))) {
        const distances = await run({
          a: stackRgb(group.map((i) => pairs[i][0])),
          b: stackRgb(group.map((i) => pairs[i][1])),
        });
        group.forEach((to, from) => (out[to] = Number(distances.data[from])));
      }
      return out;
    },
    dispose: () => run.dispose(),
  };
}
