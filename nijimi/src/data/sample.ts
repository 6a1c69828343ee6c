/**
 * What data sets give: samples whose pictures are not decoded yet. A set is either indexed (any sample at any time:
 * folders, CIFAR, MNIST) or streamed (shards read from front to back: tar archives, Parquet row groups).
 */

/** A decoded picture: rows of pixels, channels interleaved, 8 bits each. */
export interface Raster {
  readonly width: number;
  readonly height: number;
  /** Grey, grey and alpha, RGB, RGB and alpha. */
  readonly channels: 1 | 2 | 3 | 4;
  readonly data: Uint8Array | Uint8ClampedArray;
}

/** One sample. Whether its picture can be decoded shows later. */
export interface RawSample {
  /** Names the sample in messages and in the list of broken ones: `"cats/001"`, `"shard-0003.tar:1f600"`. */
  readonly key: string;
  /** The file's bytes, or pixels where the set holds pixels. */
  readonly image: Uint8Array | Raster;
  readonly caption?: string;
  /** Class index, from 0. */
  readonly label?: number;
  /** A second picture that goes with the first: a mask, or the other side of a pair. */
  readonly target?: Uint8Array | Raster;
  /** Whatever else the set says about the sample. */
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/** A set whose samples can be read in any order. */
export interface IndexedDataset {
  readonly kind: "indexed";
  readonly name: string;
  readonly size: number;
  /** Names of the classes by label, where the set has names. */
  readonly classes?: readonly string[];
  /** Key of a sample, without reading it. */
  key(index: number): string;
  read(index: number): Promise<RawSample>;
}

/** A set whose samples come in shards that are read from front to back. */
export interface StreamedDataset {
  readonly kind: "streamed";
  readonly name: string;
  readonly classes?: readonly string[];
  /** Number of shards. */
  readonly shards: number;
  /** Samples of a shard, where that is known without reading it. */
  shardSize(shard: number): number | undefined;
  /** The samples of a shard, always in the same order. */
  stream(shard: number): AsyncIterable<RawSample>;
}

export type Dataset = IndexedDataset | StreamedDataset;

/** The last part of a path or URL: keys do not depend on where a set lies. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
