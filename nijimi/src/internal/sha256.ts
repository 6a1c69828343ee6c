/** SHA-256 (FIPS 180-4) of bytes that come in pieces; the platform's `crypto.subtle` takes only whole files. */

/** A hash on its way. */
export interface Sha256 {
  update(bytes: Uint8Array): void;
  /** Lower-case hexadecimal. To be called once. */
  digest(): string;
}

const BLOCK = 64;

/** First 32 bits of the fractional parts of the n-th roots of the first primes. */
function fractions(count: number, root: 2 | 3): Uint32Array {
  const bits = new Uint32Array(count);
  for (let found = 0, candidate = 2; found < count; candidate++) {
    if (!isPrime(candidate)) continue;
    const value = root === 2 ? Math.sqrt(candidate) : Math.cbrt(candidate);
    bits[found++] = (value % 1) * 2 ** 32;
  }
  return bits;
}

function isPrime(value: number): boolean {
  for (let divisor = 2; divisor * divisor <= value; divisor++)
    if (value % divisor === 0) return false;
  return true;
}

/** @example const hash = sha256(); hash.update(bytes); hash.digest() */
export function sha256(): Sha256 {
  const constants = fractions(64, 3);
  const state = fractions(8, 2);
  const words = new Uint32Array(64);
  const rest = new Uint8Array(BLOCK);
  let filled = 0;
  let length = 0;

  function compress(view: DataView, at: number): void {
    for (let t = 0; t < 16; t++) words[t] = view.getUint32(at + 4 * t);
    for (let t = 16; t < 64; t++) {
      const [x, y] = [words[t - 15], words[t - 2]];
      const s0 = rotate(x, 7) ^ rotate(x, 18) ^ (x >>> 3);
      const s1 = rotate(y, 17) ^ rotate(y, 19) ^ (y >>> 10);
      words[t] = words[t - 16] + s0 + words[t - 7] + s1;
    }
    let [a, b, c, d, e, f, g, h] = state;
    for (let t = 0; t < 64; t++) {
      const sum1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
      const choice = (e & f) ^ (~e & g);
      const t1 = (h + sum1 + choice + constants[t] + words[t]) | 0;
      const sum0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
      const majority = (a & b) ^ (a & c) ^ (b & c);
      h = g;
      g = f;
      f = e;
      e = (d + t1) | 0;
      d = c;
      c = b;
      b = a;
      a = (t1 + sum0 + majority) | 0;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
  }

  function update(bytes: Uint8Array): void {
    length += bytes.length;
    let at = 0;
    if (filled > 0) {
      at = Math.min(BLOCK - filled, bytes.length);
      rest.set(bytes.subarray(0, at), filled);
      filled += at;
      if (filled < BLOCK) return;
      compress(new DataView(rest.buffer), 0);
      filled = 0;
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (; at + BLOCK <= bytes.length; at += BLOCK) compress(view, at);
    rest.set(bytes.subarray(at));
    filled = bytes.length - at;
  }

  return {
    update,
    digest() {
      const total = length;
      const padding = new Uint8Array((filled < 56 ? 56 : 120) - filled + 8);
      padding[0] = 0x80;
      new DataView(padding.buffer).setBigUint64(padding.length - 8, BigInt(total) * 8n);
      update(padding);
      return Array.from(state, (word) => word.toString(16).padStart(8, "0")).join("");
    },
  };
}

function rotate(word: number, by: number): number {
  return (word >>> by) | (word << (32 - by));
}
