/** Statistics of a set of pictures, for saving. */
import { NijimiError } from "../../errors.ts";
import { moments } from "../moments.ts";
import { describeNetwork, type FeatureNetwork } from "../networks/feature-network.ts";
import { type Rgb, toRgb } from "../networks/rgb.ts";
import type { SavedStatistics } from "../statistics-file.ts";
import type { EvaluationOptions, ImageSet } from "./types.ts";

/** Progress; the last one has the statistics. */
export interface StatisticsEvent {
  readonly done: number;
  readonly statistics?: SavedStatistics;
}

/**
 * Mean and covariance of a set's features, and of its spatial features where the network has them.
 *
 * @example
 * for await (const { statistics } of statisticsOfSet(photos, network))
 *   if (statistics) await writeFile("photos.npz", writeStatistics(statistics));
 */
export async function* statisticsOfSet(
  set: ImageSet,
  network: FeatureNetwork,
  options: Pick<EvaluationOptions, "batchSize" | "product" | "signal"> = {},
): AsyncGenerator<StatisticsEvent, void> {
  const { batchSize = 16, signal } = options;
  const { features: size, spatial: spatialSize } = network.dimensions;
  const features = moments(size, options);
  const spatial = spatialSize === undefined ? undefined : moments(spatialSize, options);
  let state = features.start();
  let spatialState = spatial?.start();
  let done = 0;
  const count = async (pictures: readonly Rgb[]): Promise<void> => {
    signal?.throwIfAborted();
    const outputs = await network.embed(pictures);
    state = await features.add(state, outputs.features);
    if (spatial !== undefined) spatialState = await spatial.add(spatialState!, outputs.spatial!);
    done += pictures.length;
  };
  let waiting: Rgb[] = [];
  for await (const { image } of set.items(0)) {
    waiting.push(toRgb(image));
    if (waiting.length < batchSize) continue;
    await count(waiting);
    waiting = [];
    yield { done };
  }
  if (waiting.length > 0) await count(waiting);
  if (done === 0) throw new NijimiError("file", `${set.name} holds no pictures.`);
  yield {
    done,
    statistics: {
      statistics: await features.finish(state),
      ...(spatial !== undefined && { spatial: await spatial.finish(spatialState!) }),
      computedWith: describeNetwork(network),
    },
  };
}
