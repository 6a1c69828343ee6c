/** Retrieval: which texts a picture is closest to. */

/**
 * Share of pictures whose own text is among the `k` with the largest cosine. Equal cosines count against it.
 *
 * @param images one embedding each
 * @param texts the text of picture i at place i
 */
export function recallAt(
  images: readonly Float32Array[],
  texts: readonly Float32Array[],
  k: number,
): number {
  const normed = texts.map(normalise);
  const found = images.map(normalise).filter((image, i) => {
    const own = dot(image, normed[i]);
    return normed.filter((text, j) => j !== i && dot(image, text) >= own).length < k;
  });
  return found.length / images.length;
}

function normalise(vector: Float32Array): Float32Array {
  const norm = Math.sqrt(dot(vector, vector));
  return vector.map((value) => value / norm);
}

function dot(a: Float32Array, b: Float32Array): number {
  let total = 0;
  for (let i = 0; i < a.length; i++) total += a[i] * b[i];
  return total;
}
