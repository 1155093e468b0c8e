// The window that the result is cropped to.

/** @import { Box, CropWindows } from "../types" */

/**
 * Return the window on a frame, and whether its place is known; in the middle while it is not.
 * @param {{width: number, height: number}} size of the window
 * @param {?CropWindows} windows
 * @param {number} index
 * @param {{width: number, height: number}} frame
 * @returns {{box: Box, known: boolean}}
 */
export function windowAt(size, windows, index, frame) {
  const corner = windows?.corners[index - windows.first];
  const [left, top] = corner ?? [(frame.width - size.width) / 2, (frame.height - size.height) / 2];
  return { box: [left, top, left + size.width, top + size.height], known: Boolean(corner) };
}

/**
 * Return whether pictures of a size have another aspect ratio than the frame, beyond the rounding to even sizes.
 * @param {{width: number, height: number}} picture
 * @param {{width: number, height: number}} frame
 */
export function isCropped(picture, frame) {
  const across = picture.width * frame.height;
  const down = picture.height * frame.width;
  return Math.abs(across - down) > 4 * Math.max(frame.width, frame.height);
}

/**
 * Return how a picture of the frame is laid into a box of the window's aspect ratio, in percent of the box.
 * @param {Box} box the window, in pixels of the frame
 * @param {{width: number, height: number}} frame
 */
export function placeInWindow([left, top, right, bottom], frame) {
  const [width, height] = [right - left, bottom - top];
  return {
    width: (frame.width / width) * 100,
    left: (-left / width) * 100,
    top: (-top / height) * 100,
  };
}
