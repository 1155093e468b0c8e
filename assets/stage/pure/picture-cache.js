// LRU cache of pictures.

/** Pictures by their address; `release` is called with each that is dropped or replaced. */
export class PictureCache {
  /** @type {Map<string, string>} the least recently shown first */
  #pictures = new Map();
  /** @type {Set<string>} addresses of pictures that were made in haste */
  #hasty = new Set();
  /** @type {Set<string>} addresses of plain frames that stand in for what is not cut yet */
  #uncut = new Set();
  #most;
  #release;

  /**
   * @param {number} most how many are kept
   * @param {(picture: string) => void} release
   */
  constructor(most, release) {
    this.#most = most;
    this.#release = release;
  }

  /** @param {string} url */
  has(url) {
    return this.#pictures.has(url);
  }

  /**
   * Put a picture in, in the place of an older one of the same address.
   * @param {string} url
   * @param {string} picture
   * @param {boolean} hasty whether a better one can be asked for
   * @param {boolean} [uncut] whether it is the plain frame, as its cut is not there yet
   */
  put(url, picture, hasty, uncut = false) {
    const old = this.#pictures.get(url);
    if (old !== undefined) this.#release(old);
    this.#pictures.set(url, picture);
    if (hasty) this.#hasty.add(url);
    else this.#hasty.delete(url);
    if (uncut) this.#uncut.add(url);
    else this.#uncut.delete(url);
  }

  /**
   * Return a picture that is there, to be shown: it becomes the most recent one, and the oldest beyond the limit go.
   * @param {string} url
   */
  take(url) {
    const picture = this.#pictures.get(url);
    if (picture === undefined) throw new Error(`No such picture: ${url}`);
    this.#pictures.delete(url);
    this.#pictures.set(url, picture);
    for (const [oldest, old] of this.#pictures) {
      if (this.#pictures.size <= this.#most) break;
      this.#pictures.delete(oldest);
      this.#release(old);
    }
    return picture;
  }

  /** @param {string} url */
  isHasty(url) {
    return this.#hasty.has(url);
  }

  /** @param {string} url */
  isUncut(url) {
    return this.#uncut.has(url);
  }

  /**
   * Ask for no better picture at this address again.
   * @param {string} url
   */
  settle(url) {
    this.#hasty.delete(url);
  }

  clear() {
    for (const picture of this.#pictures.values()) this.#release(picture);
    this.#pictures.clear();
    this.#hasty.clear();
    this.#uncut.clear();
  }
}
