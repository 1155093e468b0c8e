// A clock of seconds of a video, which runs by itself and can be made to follow another one.

const JUMP_S = 0.08; // a difference that is heard as sound out of sync: it is made up at once
const SHARE = 0.1; // of a smaller difference, such as the coarse steps of a player's own clock

/** Seconds of a video at `rate`, by a clock of milliseconds such as `performance.now()`. */
export class MediaClock {
  #time;
  #since;
  /** Seconds of the video in a second; negative: backwards. */
  rate;

  /**
   * @param {number} time seconds of the video at `now`
   * @param {number} rate
   * @param {number} now milliseconds
   */
  constructor(time, rate, now) {
    this.#time = time;
    this.#since = now;
    this.rate = rate;
  }

  /**
   * Return the second of the video.
   * @param {number} now milliseconds
   */
  at(now) {
    return this.#time + ((now - this.#since) / 1000) * this.rate;
  }

  /**
   * Go on from another second.
   * @param {number} time
   * @param {number} now milliseconds
   */
  set(time, now) {
    this.#time = time;
    this.#since = now;
  }

  /**
   * Come nearer to what another clock shows, such as that of a sound.
   * @param {number} time
   * @param {number} now milliseconds
   */
  follow(time, now) {
    const own = this.at(now);
    const late = time - own;
    this.set(Math.abs(late) > JUMP_S ? time : own + late * SHARE, now);
  }
}
