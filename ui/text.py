"""What the page says, by language: English and Spanish side by side, keyed alike."""

from __future__ import annotations

# `{name}` is filled in where the sentence is shown; `_tip` is what hovering over a control tells.
STAGE: dict[str, dict[str, str]] = {
    "en": {
        "stage": "Stage",
        "picture": "Picture: {time}. Enter sets a mark in the middle.",
        "empty": "Your video will appear here.",
        "hint": "Click the subject. Right click removes; drag draws a box.",
        "hint_touch": "Tap the subject. Drag draws a box; two fingers zoom.",
        "hint_box": "Drag a box around the subject.",
        "hint_point": "Click the subject. Right click removes.",
        "hint_auto": "This model finds the subject by itself.",
        "thinking": "Thinking…",
        "reading": "Reading the frame…",
        "which": "Which one?",
        "candidate": "Option {number}: {score}",
        "candidate_tip": "Take this one ({number})",
        "fit": "Fit",
        "fit_tip": "Show the whole picture",
        "tools": "Marks",
        "keep": "Keep",
        "keep_tip": "Click what stays (K)",
        "remove": "Remove",
        "remove_tip": "Click what goes (X, or right click)",
        "box": "Box",
        "box_tip": "Drag a box around the subject (B)",
        "history": "Changes",
        "undo": "Undo",
        "undo_tip": "Undo (Z)",
        "redo": "Redo",
        "redo_tip": "Redo (Shift Z)",
        "clear": "Clear",
        "clear_tip": "Delete this object's marks on this frame",
        "objects": "Objects",
        "object": "Object {number}",
        "object_tip": "New marks belong to it. Double click or F2 renames it.",
        "add": "+ Object",
        "add_tip": "Keep another thing, with marks of its own",
        "rename": "Rename {name}",
        "name_of": "Name of {name}",
        "drop": "Delete {name} and its marks",
        "in_result": "{name} is in the result",
        "not_in_result": "{name} is not in the result",
        "views": "View",
        "mask": "Mask",
        "mask_tip": "The subject tinted (M)",
        "cutout": "Cut-out",
        "cutout_tip": "Without its background (C)",
        "original": "Original",
        "original_tip": "The frame as it is (O)",
        "result": "Result",
        "result_tip": "The finished video (R)",
        "marked": "Marked frames",
        "goto": "Go to the marks at {time}",
        "checks": "Frames to check",
        "check": "Check here: {time} s",
        "check_tip": "Check here: {time} s. The cut may have slipped. N goes to the next.",
        "frame": "Frame",
        "frame_of": "Frame {frame} of {frames}",
        "keep_at": "Keep, at {x}, {y}. Alt and arrows move it, Delete removes it.",
        "remove_at": "Remove, at {x}, {y}. Alt and arrows move it, Delete removes it.",
        "delete": "Delete this mark",
        "delete_box": "Delete the box",
        "failed": "Frame {frame} could not be loaded. Check the connection and move to it again.",
        "unplayable": "This format does not play in the browser. Download the result to see it.",
    },
    "es": {
        "stage": "Escenario",
        "picture": "Imagen: {time}. Intro pone una marca en el centro.",
        "empty": "Tu vídeo aparecerá aquí.",
        "hint": "Haz clic en el sujeto. Clic derecho quita; arrastra para un recuadro.",
        "hint_touch": "Toca el sujeto. Arrastra para un recuadro; dos dedos amplían.",
        "hint_box": "Arrastra un recuadro alrededor del sujeto.",
        "hint_point": "Haz clic en el sujeto. Clic derecho quita.",
        "hint_auto": "Este modelo encuentra al sujeto por sí solo.",
        "thinking": "Pensando…",
        "reading": "Leyendo el fotograma…",
        "which": "¿Cuál?",
        "candidate": "Opción {number}: {score}",
        "candidate_tip": "Tomar esta ({number})",
        "fit": "Ajustar",
        "fit_tip": "Mostrar la imagen entera",
        "tools": "Marcas",
        "keep": "Conservar",
        "keep_tip": "Haz clic en lo que se queda (K)",
        "remove": "Quitar",
        "remove_tip": "Haz clic en lo que se va (X, o clic derecho)",
        "box": "Recuadro",
        "box_tip": "Arrastra un recuadro alrededor del sujeto (B)",
        "history": "Cambios",
        "undo": "Deshacer",
        "undo_tip": "Deshacer (Z)",
        "redo": "Rehacer",
        "redo_tip": "Rehacer (Mayús Z)",
        "clear": "Limpiar",
        "clear_tip": "Borrar las marcas de este objeto en este fotograma",
        "objects": "Objetos",
        "object": "Objeto {number}",
        "object_tip": "Las marcas nuevas son suyas. Doble clic o F2 le cambia el nombre.",
        "add": "+ Objeto",
        "add_tip": "Conservar otra cosa, con marcas propias",
        "rename": "Cambiar el nombre de {name}",
        "name_of": "Nombre de {name}",
        "drop": "Borrar {name} y sus marcas",
        "in_result": "{name} está en el resultado",
        "not_in_result": "{name} no está en el resultado",
        "views": "Vista",
        "mask": "Máscara",
        "mask_tip": "El sujeto teñido (M)",
        "cutout": "Recorte",
        "cutout_tip": "Sin su fondo (C)",
        "original": "Original",
        "original_tip": "El fotograma tal cual (O)",
        "result": "Resultado",
        "result_tip": "El vídeo terminado (R)",
        "marked": "Fotogramas marcados",
        "goto": "Ir a las marcas en {time}",
        "checks": "Fotogramas por revisar",
        "check": "Revisa aquí: {time} s",
        "check_tip": "Revisa aquí: {time} s. El recorte puede haberse desviado. N va al siguiente.",
        "frame": "Fotograma",
        "frame_of": "Fotograma {frame} de {frames}",
        "keep_at": "Conservar, en {x}, {y}. Alt y flechas la mueven, Supr la borra.",
        "remove_at": "Quitar, en {x}, {y}. Alt y flechas la mueven, Supr la borra.",
        "delete": "Borrar esta marca",
        "delete_box": "Borrar el recuadro",
        "failed": "No se pudo cargar el fotograma {frame}. Revisa la conexión y vuelve a él.",
        "unplayable": "Este formato no se reproduce en el navegador. Descarga el resultado para verlo.",
    },
}

PAGE: dict[str, dict[str, str]] = {
    "en": {
        "tab_cut": "Cut out",
        "tab_sessions": "Sessions",
        "drop": "Drop a video here",
        "browse": "Click to choose one",
        "sample": "Try the sample clip",
        "video": "Video",
        "name": "Name",
        "another": "Another video",
        "subject": "Subject",
        "model": "Model",
        "background": "Background",
        "kind": "Behind the subject",
        "kind_colour": "Colour",
        "kind_picture": "Picture",
        "kind_blur": "Blur",
        "kind_transparent": "Transparent",
        "colour": "Colour",
        "green": "Green",
        "blue": "Blue",
        "white": "White",
        "black": "Black",
        "picture": "Choose a picture",
        "studio": "Studio",
        "city": "City",
        "garden": "Garden",
        "brick": "Brick wall",
        "fit": "Picture's place",
        "fit_fill": "Fill",
        "fit_fit": "Fit",
        "fit_stretch": "Stretch",
        "radius": "Blur, in pixels",
        "result": "Result",
        "format": "Format",
        "sound": "Keep the sound",
        "preview": "Preview six frames",
        "make": "Make the video",
        "cancel": "Cancel",
        "previews": "Previews",
        "search": "Search by name",
        # Filled in on the server, in the browser's language.
        "facts": "{width} × {height} · {length} · {rate}/s · {sound}",
        "with_sound": "with sound",
        "without_sound": "no sound",
        "licence": "Licence",
        "click_better": "Without a mark the model guesses the subject; a click on it will do better.",
        "click_first": "Click on the subject, or draw a box around it.",
        "acknowledge": "I have read the licence and keep to it",
        "fetch": "Download the weights",
        "fetch_size": "Download the weights ({size})",
        "fetching": "Downloading: {done} of {total}",
        "measured": "Last run on this machine: {rate} frames/s at {width} × {height} ({device}).",
        "chosen_spare": "Used unless another is chosen: it needs no download, and {best} is not ready here.",
        "chosen_best": "Used unless another is chosen: its weights are on this machine.",
        "queued": "Waiting: {place} before it.",
        "starting": "Starting…",
        "matte": "Cutting out: {done} of {total} frames",
        "render": "Laying over the background: {done} of {total} frames",
        "rate": "{rate}/s",
        "left": "{left} left",
        "previewing": "Previewing: {done} of {total}",
        "cancelled": "Cancelled. Nothing was changed.",
        "done": "Done in {seconds}.",
        "download": "Download {format} · {size}",
        "outdated": "This result was made before your last change.",
        "original": "Original",
        "gone": "This session does not exist.",
        "broken": "Something went wrong inside the program; its log has the details.",
    },
    "es": {
        "tab_cut": "Recortar",
        "tab_sessions": "Sesiones",
        "drop": "Suelta un vídeo aquí",
        "browse": "Haz clic para elegirlo",
        "sample": "Probar el vídeo de muestra",
        "video": "Vídeo",
        "name": "Nombre",
        "another": "Otro vídeo",
        "subject": "Sujeto",
        "model": "Modelo",
        "background": "Fondo",
        "kind": "Detrás del sujeto",
        "kind_colour": "Color",
        "kind_picture": "Imagen",
        "kind_blur": "Desenfoque",
        "kind_transparent": "Transparente",
        "colour": "Color",
        "green": "Verde",
        "blue": "Azul",
        "white": "Blanco",
        "black": "Negro",
        "picture": "Elegir una imagen",
        "studio": "Estudio",
        "city": "Ciudad",
        "garden": "Jardín",
        "brick": "Pared de ladrillo",
        "fit": "Lugar de la imagen",
        "fit_fill": "Llenar",
        "fit_fit": "Encajar",
        "fit_stretch": "Estirar",
        "radius": "Desenfoque, en píxeles",
        "result": "Resultado",
        "format": "Formato",
        "sound": "Conservar el sonido",
        "preview": "Ver seis fotogramas",
        "make": "Hacer el vídeo",
        "cancel": "Cancelar",
        "previews": "Muestras",
        "search": "Buscar por nombre",
        "facts": "{width} × {height} · {length} · {rate}/s · {sound}",
        "with_sound": "con sonido",
        "without_sound": "sin sonido",
        "licence": "Licencia",
        "click_first": "Haz clic en el sujeto, o dibuja un recuadro a su alrededor.",
        "acknowledge": "He leído la licencia y la respeto",
        "fetch": "Descargar los pesos",
        "fetch_size": "Descargar los pesos ({size})",
        "fetching": "Descargando: {done} de {total}",
        "measured": "Última vez en esta máquina: {rate} fotogramas/s a {width} × {height} ({device}).",
        "chosen_spare": "Se usa si no eliges otro: no necesita descargas, y {best} no está listo aquí.",
        "chosen_best": "Se usa si no eliges otro: sus pesos están en esta máquina.",
        "click_better": "Sin marcas, el modelo adivina al sujeto; un clic sobre él lo hará mejor.",
        "queued": "En espera: {place} delante.",
        "starting": "Empezando…",
        "matte": "Recortando: {done} de {total} fotogramas",
        "render": "Poniendo el fondo: {done} de {total} fotogramas",
        "rate": "{rate}/s",
        "left": "quedan {left}",
        "previewing": "Muestras: {done} de {total}",
        "cancelled": "Cancelado. No se ha cambiado nada.",
        "done": "Hecho en {seconds}.",
        "download": "Descargar {format} · {size}",
        "outdated": "Este resultado se hizo antes de tu último cambio.",
        "original": "Original",
        "gone": "Esta sesión no existe.",
        "broken": "Algo ha fallado dentro del programa; su registro tiene los detalles.",
    },
}

# The cards of the sessions, put together in the browser.
CARDS: dict[str, dict[str, str]] = {
    "en": {
        "empty": "No sessions yet. Upload a video and it will be kept here.",
        "open": "Open",
        "download": "Download {format}",
        "delete": "Delete",
        "sure": "Delete for good?",
        "yes": "Delete",
        "no": "Keep",
        "took": "took {seconds}",
        "ready": "ready",
        "queued": "waiting",
        "running": "running",
        "done": "done",
        "failed": "failed",
        "cancelled": "cancelled",
        "interrupted": "interrupted",
        "frames": "{done} of {total} frames",
        "transparent": "transparent",
        "blur": "blur",
        "picture": "picture",
    },
    "es": {
        "empty": "Todavía no hay sesiones. Sube un vídeo y se guardará aquí.",
        "open": "Abrir",
        "download": "Descargar {format}",
        "delete": "Borrar",
        "sure": "¿Borrar para siempre?",
        "yes": "Borrar",
        "no": "Conservar",
        "took": "tardó {seconds}",
        "ready": "lista",
        "queued": "en espera",
        "running": "en curso",
        "done": "hecha",
        "failed": "fallida",
        "cancelled": "cancelada",
        "interrupted": "interrumpida",
        "frames": "{done} de {total} fotogramas",
        "transparent": "transparente",
        "blur": "desenfoque",
        "picture": "imagen",
    },
}

# What a model is for, where its card's own English is not the page's language.
_PURPOSES: dict[str, dict[str, str]] = {
    "es": {
        "grabcut": "No necesita pesos: para un sujeto que se distingue por sus colores o su movimiento, "
        "en cualquier procesador.",
        "recorte": "Viene con la aplicación: encuentra al sujeto por sí solo o por tus marcas, casi en "
        "tiempo real en cualquier equipo.",
        "rmbg": "Encuentra por sí solo al sujeto de cada fotograma, también pelo y bordes "
        "suaves; rápido con GPU.",
        "sam-vit-b": "Recorta cualquier cosa con un clic o un recuadro; el más pequeño y rápido de su "
        "familia.",
        "sam-vit-l": "Entiende mejor que ViT-B lo que señala una marca, y es varias veces más lento.",
        "sam-vit-h": "El más seguro de su familia y, con mucho, el más lento: para una GPU.",
        "sam2-tiny": "Sigue lo que señalas por todo el vídeo, cortes incluidos; el más rápido de su familia.",
        "sam2-small": "Sigue lo que señalas por todo el vídeo; algo más seguro y más lento que Tiny.",
        "sam2-base-plus": "Sigue lo que señalas por todo el vídeo; más seguro que Small entre cosas "
        "parecidas.",
        "sam2-large": "Sigue lo que señalas por todo el vídeo; el más seguro de su familia, para una GPU.",
    },
}

_RESTRICTIONS: dict[str, dict[str, str]] = {
    "es": {
        "rmbg": "Los pesos de RMBG-1.4 son solo para uso no comercial, salvo acuerdo con BRIA.",
    },
}


def purpose(language: str, model: str, english: str) -> str:
    """What a model is for: in the language where it was told, else as its card has it."""
    return _PURPOSES.get(language, {}).get(model, english)


def restriction(language: str, model: str, english: str) -> str:
    """What a model's licence forbids: in the language where it was told, else as its card has it."""
    return _RESTRICTIONS.get(language, {}).get(model, english)


def say(language: str, key: str, **fields: object) -> str:
    """The page's text in a language of the table, or in English."""
    return PAGE.get(language, PAGE["en"])[key].format(**fields)


def language(accepted: str | None) -> str:
    """The first language of an Accept-Language header that the table has; English where none is."""
    for entry in (accepted or "").split(","):
        code = entry.split(";")[0].strip().lower().split("-")[0]
        if code in PAGE:
            return code
    return "en"


def length(seconds: float) -> str:
    """3.2 s, 4:05 or 1:02:03."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def size(count: int) -> str:
    """A number of bytes as a person says it."""
    if count < 1_000_000:
        return f"{max(1, round(count / 1000))} kB"
    if count < 1_000_000_000:
        return f"{count / 1e6:.1f} MB"
    return f"{count / 1e9:.1f} GB"
