// The types of the stage.
//
// Coordinates are pixels of the displayed frame, origin top left; times are seconds from the first frame; a frame's
// index counts from 0. What the server sends and takes is described in `ui/page/stage.py`.

export interface Position {
  x: number;
  y: number;
}

/** A click: on what is to be kept, or on what is not. */
export interface Point extends Position {
  keep: boolean;
  /** True where it stands for all of the thing that it lies on. */
  whole?: boolean;
}

/** A closed line around a part of a thing, or around a hole in it. */
export type Outline = [number, number][];

/** x0, y0, x1, y1. */
export type Box = [number, number, number, number];

export type Corner = "nw" | "ne" | "sw" | "se";

/** What a brush has painted: a line through the places of `path`, x before y, of that width in pixels. */
export interface Stroke {
  path: [number, number][];
  width: number;
  /** False where it erases. */
  keep: boolean;
}

export interface StrokeJson extends Omit<Stroke, "keep"> {
  keep?: boolean;
}

/** A mask that was uploaded for a frame; `invert` where white is the background. */
export interface MaskFile {
  file: string;
  invert?: boolean;
}

/** The marks of one object on one frame. */
export interface Prompt {
  time: number;
  object: number;
  points: Point[];
  box: Box | null;
  /** The number of the chosen meaning of a single click, from 0; null for the best. */
  candidate: number | null;
  /** In the order in which they were painted; missing where there are none. */
  strokes?: Stroke[];
  /** Missing where there is none. */
  mask?: MaskFile | null;
}

/** A prompt as the server writes it: what goes without saying may be missing. */
export interface PromptJson {
  time?: number;
  object?: number;
  points?: { x: number; y: number; keep?: boolean; whole?: boolean }[];
  box?: Box | null;
  candidate?: number | null;
  strokes?: StrokeJson[];
  mask?: MaskFile | null;
}

/** An object of the video; `on` where it is in the result. */
export interface VideoObject {
  number: number;
  /** Empty where nobody has named it. */
  name: string;
  on: boolean;
}

export interface VideoObjectJson {
  number: number;
  name?: string;
  on?: boolean;
}

/** A thing that was found by words: the phrase that names it, and its box; the object's number is the search's own. */
export interface FoundWord {
  words: string;
  prompt: PromptJson;
}

/** One of the meanings that a single click may have. */
export interface Candidate {
  /** The model's confidence, 0 to 1. */
  score: number;
  /** The address of a small picture of it. */
  picture: string;
  /** The thing clicked, a part of it, the thing and more, or all that the model takes; empty where unnamed. */
  name?: "one" | "part" | "more" | "all" | "";
}

/** The part of the video that is kept: up to, and without, the frame at `end`; null is the whole rest. */
export interface TimeRange {
  start: number;
  end: number | null;
}

/** The first and the last frame that are kept. */
export interface FrameRange {
  first: number;
  last: number;
}

export type End = "start" | "end";

/** Frames from the first number up to, and without, the second. */
export type Span = [number, number];

/** What the server says of the cut that it makes in the background; see `ui/page/stage.py`. */
export interface CutReport {
  /** The revision of the pictures that it is about. */
  rev: string;
  state: "cutting" | "waiting" | "done" | "slow" | "failed" | "idle";
  ready: Span[];
  /** Seconds where the cut may have slipped. */
  checks: number[];
  done: number;
  total: number;
  /** Frames a second. */
  rate: number;
  /** Seconds. */
  left: number | null;
  /** seconds until a slow model is measured again */
  again?: number | null;
  /** A sentence in the language of the person; empty for none. */
  message: string;
  /** A sentence on the time that a run would take now; empty while unknown. */
  estimate: string;
}

/** The picture on the stage. */
export interface ShownPicture {
  index: number;
  view: View;
  /** The revision that it was made for. */
  rev: string;
  /** False where the plain frame stands in for one that is not cut yet. */
  cut: boolean;
}

/** "after" is the frame as the next run makes it; it has no button. */
export type View = "mask" | "cutout" | "split" | "classes" | "original" | "result" | "after";

/** A keyboard shortcut; `group` and `text` are the keys of strings. */
export interface Shortcut {
  group: string;
  text: string;
  /** As KeyboardEvent calls them, those held with one before it: "Shift+Z". */
  keys: string[];
  act: (event: KeyboardEvent) => void;
}

/** How a mask is drawn: tinted, more strongly, in one colour, or as a line around it. */
export type Tint = "" | "strong" | "solid" | "outline";

export type Tool = "keep" | "remove" | "box" | "brush" | "erase";

export interface Result {
  url: string;
  /** Its media type, such as "video/mp4". */
  type: string;
  /** True where browsers play it. */
  plays: boolean;
  transparent: boolean;
  /** True where a run would not make it any more. */
  outdated: boolean;
}

/** Where the window of the crop is: left and top, in pixels, for each frame from `first` on; none if not known. */
export interface CropWindows {
  first: number;
  corners: [number, number][];
}

/** The marks that a model takes. */
export interface Abilities {
  can_point: boolean;
  can_box: boolean;
  /** The networks that find what words name, where there is a choice. */
  words: { key: string; label: string }[];
}

/** All that can be edited here, as it is sent to the server. */
export interface Edited {
  prompts: PromptJson[];
  objects: VideoObjectJson[];
  start: number;
  end: number | null;
}

/** The component's value; see `ui/page/stage.py`. */
export interface Value extends Edited, Abilities {
  media: string;
  width: number;
  height: number;
  frames: number;
  duration: number;
  palette: string[];
  rev: string | null;
  model: string | null;
  /** There is a view with a map of all classes. */
  maps?: boolean;
  candidates: boolean;
  splits: boolean;
  reads: boolean;
  sound: boolean;
  automatic: boolean;
  checks: number[];
  result: Result | null;
  /** The size of the window that the result is cropped to; null where it shows the whole frame. */
  crop?: { width: number; height: number } | null;
  message: string | null;
  version?: string | number;
  seq: number | null;
}

/** A mark of the frame that is shown; `i` counts an object's points, or its strokes. */
export type MarkRef =
  | { kind: "point" | "stroke"; object: number; i: number }
  | { kind: "box"; object: number };

/** A state that undo leads back to. */
export interface Moment {
  prompts: Prompt[];
  objects: VideoObject[];
  range: TimeRange;
  /** The number of the object that new marks belong to. */
  active: number;
  /** The frame that was shown. */
  index: number;
}

/** The history of a video as the browser keeps it, with the state that it leads to. */
export interface StoredHistory extends Pick<Moment, "prompts" | "objects" | "range"> {
  undo: Moment[];
  redo: Moment[];
}

/** A place in the window, as pointer events give it. */
export interface ClientPosition {
  clientX: number;
  clientY: number;
}

/** The picture's magnification; `x` and `y` are its top left corner in widths and heights of the frame's box. */
export interface Viewport {
  /** 1 to 12. */
  zoom: number;
  /** From 0 to 1 - zoom. */
  x: number;
  y: number;
}

interface Press {
  /** The pointer's. */
  id: number;
  from: PointerEvent;
  type: string;
  /** True once it went far enough to be more than a press. */
  dragged?: boolean;
}

/** The gesture that the pointers on the picture make. */
export type Gesture =
  /** `second`: with the second button, or with Shift or Ctrl. */
  | (Press & { kind: "press"; second: boolean })
  /** `pressed`: the events of the stroke so far. */
  | (Press & { kind: "paint"; pressed: PointerEvent[] })
  | (Press & { kind: "box"; x: number; y: number })
  | (Press & { kind: "pan"; x: number; y: number })
  | (Press & { kind: "mark"; mark: MarkRef })
  | (Press & { kind: "corner"; mark: MarkRef; corner: Corner; box: Box })
  /** `gap`: pixels between the two pointers; `u` and `v`: the place between them, in parts of the frame's box. */
  | { kind: "pinch"; gap: number; zoom: number; x: number; y: number; u: number; v: number };

/** All that the stage knows. */
export interface State extends Viewport {
  value: Value | null;
  tint: Tint;
  prompts: Prompt[];
  /** The prompts as they would be if a drag under way ended now. */
  draft: Prompt[] | null;
  range: TimeRange;
  /** The server's newest version of what can be edited: the next edit is made on it. */
  base: Edited | null;
  /** The versions sent to it since then, by `seq`. */
  sent: Map<number, Edited>;
  /** The frames kept if the handle that is dragged is let go now. */
  trimming: FrameRange | null;
  /** By number, never empty while there is a video. */
  objects: VideoObject[];
  /** The number of the object that new marks belong to. */
  active: number;
  /** The number of the object whose name is being written. */
  renaming: number | null;
  /** The number of the newest edit made here. */
  seq: number;
  /** The number of the newest edit that the server has answered. */
  answered: number;
  /** The number of the last edit made before this video came: answers up to it are stale. */
  before: number;
  /** The seconds at which the frames are shown; empty until the server has sent them. */
  times: number[];
  /** The frame that is shown. */
  index: number;
  view: View;
  shown: ShownPicture | null;
  /** The newest report about the cut: of the value's revision, or of the one before until it is known. */
  cut: CutReport | null;
  /** True where the cut has waited for more than a moment. */
  queued: boolean;
  /** Frames that were cut for an earlier revision, and are not for this one. */
  stale: Span[];
  /** Frames around which the cut grows. */
  growing: Span[];
  /** True where the server is to cut in the background. */
  live: boolean;
  /** The view to return to from the result. */
  back: View;
  tool: Tool;
  /** The place of the line between before and after, in parts of the frame's box. */
  split: number;
  /** How fast it plays, backwards where below 0; null while it does not. Who sets it to null stops it. */
  playing: { speed: number } | null;
  /** True where playing begins again at its end. */
  loop: boolean;
  muted: boolean;
  /** 0 to 1. */
  volume: number;
  /** True where the result is shown beside the frames that it was made from. */
  comparing: boolean;
  undo: Moment[];
  redo: Moment[];
  selected: MarkRef | null;
  /** The mark that was made last, and its frame: it pulses until the server has answered. */
  newest: { index: number; mark: MarkRef } | null;
  gesture: Gesture | null;
  spaceHeld: boolean;
  /** True where the picture was moved since Space was pressed: it does not play then. */
  spacePanned: boolean;
  loading: boolean;
  /** True while a quick preview is shown and the picture by a full run's mask is on its way. */
  refining: boolean;
  /** True where loading or refining takes long enough to be mentioned. */
  slow: boolean;
  error: string;
  /** What became of a search by words, until something else is done. */
  note: string;
  /** True while a search by words is under way. */
  finding: boolean;
  /** The address of a result that the player could not play after all. */
  broken: string;
  /** The box that is being drawn. */
  rubber: Box | null;
  /** The size of the brush, 0 to 100. */
  brush: number;
  /** The stroke that is being painted. */
  stroke: Stroke | null;
  /** Where a pointer is over the picture, in parts of the frame's box; null where none is. */
  hover: { u: number; v: number } | null;
}

/** The nodes of `stage.html` by their `data-part`. */
export interface Parts {
  stage: HTMLElement;
  picture: HTMLElement;
  pan: HTMLElement;
  boxes: HTMLElement;
  crop: HTMLElement;
  rubber: HTMLElement;
  strokes: SVGSVGElement;
  ring: HTMLElement;
  brush: HTMLInputElement;
  brushing: HTMLElement;
  points: HTMLElement;
  divider: HTMLInputElement;
  video: HTMLVideoElement;
  before: HTMLElement;
  compare: HTMLButtonElement;
  still: HTMLImageElement;
  unplayable: HTMLElement;
  fetch: HTMLAnchorElement;
  hint: HTMLElement;
  thinking: HTMLElement;
  uncut: HTMLElement;
  fit: HTMLButtonElement;
  keys: HTMLDialogElement;
  shortcuts: HTMLElement;
  help: HTMLButtonElement;
  zoom: HTMLInputElement;
  candidates: HTMLElement;
  readings: HTMLElement;
  message: HTMLElement;
  toolbar: HTMLElement;
  tint: HTMLSelectElement;
  objects: HTMLElement;
  words: HTMLFormElement;
  network: HTMLSelectElement;
  said: HTMLInputElement;
  find: HTMLButtonElement;
  again: HTMLButtonElement;
  chips: HTMLElement;
  chip: HTMLTemplateElement;
  timeline: HTMLElement;
  checks: HTMLElement;
  diamonds: HTMLElement;
  strip: HTMLImageElement;
  slider: HTMLInputElement;
  play: HTMLButtonElement;
  loop: HTMLButtonElement;
  mute: HTMLButtonElement;
  volume: HTMLInputElement;
  speed: HTMLElement;
  time: HTMLElement;
  thing: SVGSVGElement;
  whole: HTMLButtonElement;
  band: HTMLElement;
  cutting: HTMLElement;
  live: HTMLInputElement;
  count: HTMLElement;
}
