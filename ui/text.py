"""What the page says, by language: English and Spanish side by side, keyed alike."""

from __future__ import annotations

from pipeline.errors import INTERNAL_ERROR

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
        "marks_wait": "This model takes no marks: yours are kept for one that does.",
        "points_wait": "This model takes no points: yours are kept for one that does.",
        "boxes_wait": "This model takes no boxes: yours are kept for one that does.",
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
        "split": "Split",
        "split_tip": "Before and after, with a line to drag (S)",
        "divider": "The line between before and after",
        "play": "Play",
        "pause": "Pause",
        "play_tip": "Play from here, or stop (Space)",
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
        "trim": "Part to keep",
        "start": "Start of the result",
        "start_tip": "The result starts here. Q starts it at the shown frame.",
        "end": "End of the result",
        "end_tip": "The result ends here. W ends it with the shown frame.",
        "from": "From",
        "to": "to",
        "whole": "Whole video",
        "whole_tip": "Keep all of it again",
        "no_time": "That is no time. Write minutes and seconds, such as 00:03.20.",
        "download": "Download",
        "keep_at": "Keep, at {x}, {y}. Alt and arrows move it, Delete removes it.",
        "remove_at": "Remove, at {x}, {y}. Alt and arrows move it, Delete removes it.",
        "delete": "Delete this mark",
        "delete_box": "Delete the box",
        "failed": "Frame {frame} could not be loaded. Check the connection and move to it again.",
        "after": "One frame as it will look. Make the video to have it all so; Result shows what you have.",
        "unplayable": "This format does not play in the browser. Download it to see it.",
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
        "marks_wait": "Este modelo no admite marcas: las tuyas se guardan para uno que sí.",
        "points_wait": "Este modelo no admite puntos: los tuyos se guardan para uno que sí.",
        "boxes_wait": "Este modelo no admite recuadros: los tuyos se guardan para uno que sí.",
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
        "split": "Dividida",
        "split_tip": "Antes y después, con una línea que se arrastra (S)",
        "divider": "La línea entre antes y después",
        "play": "Reproducir",
        "pause": "Pausa",
        "play_tip": "Reproducir desde aquí, o parar (Espacio)",
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
        "trim": "Parte que se conserva",
        "start": "Comienzo del resultado",
        "start_tip": "El resultado empieza aquí. Q lo empieza en el fotograma mostrado.",
        "end": "Final del resultado",
        "end_tip": "El resultado termina aquí. W lo termina con el fotograma mostrado.",
        "from": "De",
        "to": "a",
        "whole": "Vídeo entero",
        "whole_tip": "Volver a conservarlo todo",
        "no_time": "Eso no es un tiempo. Escribe minutos y segundos, como 00:03,20.",
        "download": "Descargar",
        "keep_at": "Conservar, en {x}, {y}. Alt y flechas la mueven, Supr la borra.",
        "remove_at": "Quitar, en {x}, {y}. Alt y flechas la mueven, Supr la borra.",
        "delete": "Borrar esta marca",
        "delete_box": "Borrar el recuadro",
        "failed": "No se pudo cargar el fotograma {frame}. Revisa la conexión y vuelve a él.",
        "after": "Un fotograma como quedará. Haz el vídeo para tenerlo así; Resultado muestra el que tienes.",
        "unplayable": "Este formato no se reproduce en el navegador. Descárgalo para verlo.",
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
        "kind_video": "Video",
        "kind_blur": "Blur",
        "kind_transparent": "Transparent",
        "colour": "Colour",
        "hex": "Colour as a number or a name, such as #00b140",
        "no_colour": "That is no colour. Write one such as #00b140 or teal.",
        "green": "Green",
        "blue": "Blue",
        "white": "White",
        "black": "Black",
        "picture": "Choose a picture",
        "film": "Choose a video",
        "ending": "Where it is too short",
        "repeated": "Repeat it",
        "held": "Hold its last frame",
        "studio": "Studio",
        "city": "City",
        "garden": "Garden",
        "brick": "Brick wall",
        "fit": "Picture's place",
        "fit_fill": "Fill",
        "fit_fit": "Fit",
        "fit_stretch": "Stretch",
        "radius": "Blur, in pixels",
        "edges": "Edges",
        "clean": "Take the old background's colour out",
        "grow": "Grow or shrink, px",
        "feather": "Feather, px",
        "despill": "Light of a screen, taken off",
        "despill_none": "None",
        "despill_green": "Green",
        "despill_blue": "Blue",
        "result": "Result",
        "format": "Format",
        "quality": "Quality",
        "quality_small": "Small",
        "quality_balanced": "Balanced",
        "quality_high": "High",
        "quality_best": "Best",
        "advanced": "Advanced",
        "rate_of": "Frames a second",
        "rate_own": "Each frame at its own time",
        "hardware": "Encode on the graphics card: faster, a little larger",
        "sound": "Keep the sound",
        "whose": "Sound",
        "picture_first": "Choose a picture to stand behind the subject, or another background.",
        "video_first": "Choose a video to stand behind the subject, or another background.",
        "preview": "Preview six frames",
        "make": "Make the video",
        "continue": "Continue",
        "cancel": "Cancel",
        "previews": "Previews",
        "search": "Search by name",
        # Filled in on the server, in the browser's language.
        "facts": "{width} × {height} · {length} · {rate}/s · {sound}",
        "with_sound": "with sound",
        "without_sound": "no sound",
        "sound_own": "The video's own",
        "sound_behind": "The background's",
        "sound_none": "None",
        "remark_hdr": "HDR: brought to standard range for the cut and the result.",
        "remark_interlaced": "Interlaced: its half pictures are joined to whole ones.",
        "remark_alpha": "Transparent in part: what is transparent stays out.",
        "remark_mended": "Frames without a time of their own: {count}, put right.",
        "licence": "Licence",
        "click_better": "Without a mark the model guesses the subject; a click on it will do better.",
        "click_first": "Click on the subject, or draw a box around it.",
        "acknowledge": "I have read the licence and keep to it",
        "fetch": "Download the weights",
        "fetch_size": "Download the weights ({size})",
        "fetching": "Downloading: {done} of {total}",
        "takes": "This clip will take about {time}, going by earlier runs on this machine.",
        "chosen_spare": "Used unless another is chosen: it needs no download, and {best} is not ready here.",
        "chosen_best": "Used unless another is chosen: its weights are on this machine.",
        "not_ready": "{label} is not ready yet: see above, below the model's name.",
        "queued": "Waiting: number {place} in line",
        "expected": "starts in about {wait}",
        "starting": "Starting…",
        "matte": "Cutting out: {done} of {total} frames",
        "render": "Laying over the background: {done} of {total} frames",
        "rate": "{rate}/s",
        "left": "{left} left",
        "previewing": "Previewing: {done} of {total}",
        "cancelled": "Cancelled. Nothing was changed.",
        "stopped": "Cancelled. What was finished is kept, and can be continued.",
        "done": "Done in {seconds}.",
        "done_check": "Done in {seconds}, but look at 1 place: the cut may have slipped there.",
        "done_checks": "Done in {seconds}, but look at {count} places: the cut may have slipped there.",
        "go_check": "Look at {time}",
        "more": "and {count} more on the timeline",
        "download": "Download {format} · {size}",
        "outdated": "This result was made before your last change.",
        "original": "Original",
        "gone": "This session does not exist.",
        "clash_frame": "The marks at {time} were changed in another window, too. Yours stand; look at them.",
        "clash_object": "Object {number} was changed in another window, too. Yours stands.",
        "clash_range": "The part to keep was changed in another window, too. Yours stands.",
        "broken": INTERNAL_ERROR,
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
        "kind_video": "Vídeo",
        "kind_blur": "Desenfoque",
        "kind_transparent": "Transparente",
        "colour": "Color",
        "hex": "Color como número o nombre inglés, como #00b140",
        "no_colour": "Eso no es un color. Escribe uno como #00b140 o teal.",
        "green": "Verde",
        "blue": "Azul",
        "white": "Blanco",
        "black": "Negro",
        "picture": "Elegir una imagen",
        "film": "Elegir un vídeo",
        "ending": "Si es demasiado corto",
        "repeated": "Repetirlo",
        "held": "Dejar su último fotograma",
        "studio": "Estudio",
        "city": "Ciudad",
        "garden": "Jardín",
        "brick": "Pared de ladrillo",
        "fit": "Lugar de la imagen",
        "fit_fill": "Llenar",
        "fit_fit": "Encajar",
        "fit_stretch": "Estirar",
        "radius": "Desenfoque, en píxeles",
        "edges": "Bordes",
        "clean": "Quitar el color del fondo anterior",
        "grow": "Ampliar o reducir, px",
        "feather": "Suavizar, px",
        "despill": "Luz de una pantalla, quitada",
        "despill_none": "Ninguna",
        "despill_green": "Verde",
        "despill_blue": "Azul",
        "result": "Resultado",
        "format": "Formato",
        "quality": "Calidad",
        "quality_small": "Ligera",
        "quality_balanced": "Media",
        "quality_high": "Alta",
        "quality_best": "Máxima",
        "advanced": "Avanzado",
        "rate_of": "Fotogramas por segundo",
        "rate_own": "Cada fotograma a su tiempo",
        "hardware": "Codificar en la tarjeta gráfica: más rápido, algo más grande",
        "sound": "Conservar el sonido",
        "whose": "Sonido",
        "picture_first": "Elige una imagen para detrás del sujeto, u otro fondo.",
        "video_first": "Elige un vídeo para detrás del sujeto, u otro fondo.",
        "preview": "Ver seis fotogramas",
        "make": "Hacer el vídeo",
        "continue": "Continuar",
        "cancel": "Cancelar",
        "previews": "Muestras",
        "search": "Buscar por nombre",
        "facts": "{width} × {height} · {length} · {rate}/s · {sound}",
        "with_sound": "con sonido",
        "without_sound": "sin sonido",
        "sound_own": "El del vídeo",
        "sound_behind": "El del fondo",
        "sound_none": "Ninguno",
        "remark_hdr": "HDR: llevado al rango estándar para el recorte y el resultado.",
        "remark_interlaced": "Entrelazado: sus medias imágenes se unen en enteras.",
        "remark_alpha": "Transparente en parte: lo transparente queda fuera.",
        "remark_mended": "Fotogramas sin un tiempo propio: {count}, corregidos.",
        "licence": "Licencia",
        "click_first": "Haz clic en el sujeto, o dibuja un recuadro a su alrededor.",
        "acknowledge": "He leído la licencia y la respeto",
        "fetch": "Descargar los pesos",
        "fetch_size": "Descargar los pesos ({size})",
        "fetching": "Descargando: {done} de {total}",
        "takes": "Este vídeo tardará unos {time}, según lo que se tardó antes en esta máquina.",
        "chosen_spare": "Se usa si no eliges otro: no necesita descargas, y {best} no está listo aquí.",
        "chosen_best": "Se usa si no eliges otro: sus pesos están en esta máquina.",
        "click_better": "Sin marcas, el modelo adivina al sujeto; un clic sobre él lo hará mejor.",
        "not_ready": "{label} aún no está listo: mira arriba, bajo el nombre del modelo.",
        "queued": "En espera: número {place} en la cola",
        "expected": "empieza en unos {wait}",
        "starting": "Empezando…",
        "matte": "Recortando: {done} de {total} fotogramas",
        "render": "Poniendo el fondo: {done} de {total} fotogramas",
        "rate": "{rate}/s",
        "left": "quedan {left}",
        "previewing": "Muestras: {done} de {total}",
        "cancelled": "Cancelado. No se ha cambiado nada.",
        "stopped": "Cancelado. Lo terminado se conserva y se puede continuar.",
        "done": "Hecho en {seconds}.",
        "done_check": "Hecho en {seconds}, pero mira 1 lugar: el recorte puede haberse desviado.",
        "done_checks": "Hecho en {seconds}, pero mira {count} lugares: el recorte puede haberse desviado.",
        "go_check": "Mirar en {time}",
        "more": "y {count} más en la línea de tiempo",
        "download": "Descargar {format} · {size}",
        "outdated": "Este resultado se hizo antes de tu último cambio.",
        "original": "Original",
        "gone": "Esta sesión no existe.",
        "clash_frame": "Las marcas en {time} también se cambiaron en otra ventana. Valen las tuyas; míralas.",
        "clash_object": "El objeto {number} también se cambió en otra ventana. Vale el tuyo.",
        "clash_range": "La parte que se conserva también se cambió en otra ventana. Vale la tuya.",
        "broken": "Algo ha fallado dentro del programa; su registro tiene los detalles.",
    },
}

# What is said while a file is sent.
UPLOAD: dict[str, dict[str, str]] = {
    "en": {
        "uploading": "Uploading {name}",
        "bytes": "{done} of {total}",
        "reading": "Reading {name}…",
        "broken": "The connection broke before {name} was here whole. Try again.",
        "cancel": "Cancel",
        "again": "Try again",
        "drop": "Drop it: a video to cut out, or a picture to stand behind",
    },
    "es": {
        "uploading": "Subiendo {name}",
        "bytes": "{done} de {total}",
        "reading": "Leyendo {name}…",
        "broken": "La conexión se cortó antes de que {name} llegara entero. Inténtalo de nuevo.",
        "cancel": "Cancelar",
        "again": "Intentarlo de nuevo",
        "drop": "Suéltalo: un vídeo que recortar, o una imagen para detrás",
    },
}

# Files that are refused where they are chosen, in the browser.
FILES: dict[str, dict[str, str]] = {
    "en": {
        "no_video": "{name}: this is no video. Choose a file such as MP4, MOV, MKV or WebM.",
        "no_picture": "{name}: this is no picture. Choose a JPEG, PNG or WebP.",
        "too_large": "{name}: this file is too large; the largest has {most}. Cut a part out of it.",
    },
    "es": {
        "no_video": "{name}: esto no es un vídeo. Elige un archivo MP4, MOV, MKV o WebM, por ejemplo.",
        "no_picture": "{name}: esto no es una imagen. Elige un JPEG, PNG o WebP.",
        "too_large": "{name}: este archivo es demasiado grande; el mayor tiene {most}. Recórtalo.",
    },
}

# The cards of the sessions, put together in the browser.
CARDS: dict[str, dict[str, str]] = {
    "en": {
        "name_of": "Name of {name}",
        "empty": "No sessions yet. Upload a video and it will be kept here.",
        "open": "Open",
        "download": "Download {format}",
        "star": "Star: stays however old it is",
        "delete": "Delete",
        "deleted": "“{name}” is deleted.",
        "undo": "Undo",
        "rename": "Rename",
        "none_found": "No session has “{search}” in its name.",
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
        "video": "video",
    },
    "es": {
        "name_of": "Nombre de {name}",
        "empty": "Todavía no hay sesiones. Sube un vídeo y se guardará aquí.",
        "open": "Abrir",
        "download": "Descargar {format}",
        "star": "Estrella: se queda por vieja que sea",
        "delete": "Borrar",
        "deleted": "«{name}» se ha borrado.",
        "undo": "Deshacer",
        "rename": "Cambiar el nombre",
        "none_found": "Ninguna sesión tiene «{search}» en su nombre.",
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
        "video": "vídeo",
    },
}

# What is said before the page: signing in, and why something is refused.
ACCESS: dict[str, dict[str, str]] = {
    "en": {
        "sign_in": "Sign in",
        "sign_out": "Sign out",
        "name": "Name",
        "password": "Password",
        "wrong": "This name and password do not go together. Check both and try again.",
        "wait": "Too many attempts. Try again in {seconds} s.",
        "away": "The database does not answer. Try again in a moment.",
        "sign_in_first": "You are not signed in. Load the page again and sign in.",
        "host": "This server is not called that. Open it by its own address; RECORTE_HOSTS lists its names.",
        "elsewhere": "This was asked for by a page of another address. Open Recorte by itself.",
        "scheme": "The page was opened by https and passed on as http, or the other way round. Have the "
        "proxy send X-Forwarded-Proto, and load the page again.",
        "not_local": "Without accounts only this machine is answered. Make one with `python app.py user add "
        "NAME`, or set RECORTE_OPEN=1 if everybody who reaches it may see everything.",
        "nothing": "There is nothing at this address.",
        "malformed": "What was sent cannot be read. Load the page again and try once more.",
        "too_much": "More was sent than this address takes.",
        "too_slow": "What was sent came too slowly. Send it again over a better connection.",
        "busy": "The server is busy with other requests. Wait a moment and try again.",
        "no_upload": "This file was not uploaded by you. Upload it again.",
        "one_file": "One file at a time: choose one and upload it.",
        "too_large": "This file is too large: the largest that may be uploaded has {size}.",
        "no_room": "There is no room for this file: {size} are left for you. Delete sessions to make some.",
        "disk_full": "The server's disk is full. Delete sessions to make room, and try again.",
    },
    "es": {
        "sign_in": "Entrar",
        "sign_out": "Salir",
        "name": "Nombre",
        "password": "Contraseña",
        "wrong": "Este nombre y esta contraseña no van juntos. Revisa ambos e inténtalo de nuevo.",
        "wait": "Demasiados intentos. Inténtalo de nuevo dentro de {seconds} s.",
        "away": "La base de datos no responde. Inténtalo de nuevo en un momento.",
        "sign_in_first": "No has entrado. Vuelve a cargar la página y entra.",
        "host": "Este servidor no se llama así. Ábrelo por su dirección; RECORTE_HOSTS enumera sus nombres.",
        "elsewhere": "Lo ha pedido una página de otra dirección. Abre Recorte por sí solo.",
        "scheme": "La página se abrió por https y llegó como http, o al revés. Haz que el proxy envíe "
        "X-Forwarded-Proto y vuelve a cargar la página.",
        "not_local": "Sin cuentas solo se atiende a esta máquina. Crea una con `python app.py user add "
        "NOMBRE`, o pon RECORTE_OPEN=1 si cualquiera que llegue puede verlo todo.",
        "nothing": "No hay nada en esta dirección.",
        "malformed": "Lo enviado no se puede leer. Vuelve a cargar la página e inténtalo otra vez.",
        "too_much": "Se ha enviado más de lo que esta dirección admite.",
        "too_slow": "Lo enviado llegaba demasiado despacio. Envíalo de nuevo con mejor conexión.",
        "busy": "El servidor está ocupado con otras peticiones. Espera un momento e inténtalo de nuevo.",
        "no_upload": "Este archivo no lo has subido tú. Vuelve a subirlo.",
        "one_file": "Un archivo cada vez: elige uno y súbelo.",
        "too_large": "Este archivo es demasiado grande: el mayor que se puede subir tiene {size}.",
        "no_room": "No hay sitio para este archivo: te quedan {size}. Borra sesiones para hacer sitio.",
        "disk_full": "El disco del servidor está lleno. Borra sesiones para hacer sitio y prueba otra vez.",
    },
}

# The page of the admins.
ADMIN: dict[str, dict[str, str]] = {
    "en": {
        "title": "Server",
        "back": "Back to the page",
        "away": "The database does not answer. Load this page again in a moment.",
        "disk": "Disk",
        "disk_says": "{free} of {total} are free.",
        "queue": "Queue",
        "no_runs": "Nothing is running, and nobody waits.",
        "users": "Users",
        "place": "Place",
        "user": "User",
        "state": "State",
        "model": "Model",
        "progress": "Progress",
        "since": "Since",
        "role": "Role",
        "sessions": "Sessions",
        "bytes": "On the disk",
        "local": "this machine's user",
        "queued": "waiting",
        "running": "running",
        "frames": "{done} of {total} frames · {rate}/s",
        "minutes": "{minutes} min",
        "cancel": "Cancel",
        "admin": "admin",
        "member": "user",
    },
    "es": {
        "title": "Servidor",
        "back": "Volver a la página",
        "away": "La base de datos no responde. Vuelve a cargar esta página en un momento.",
        "disk": "Disco",
        "disk_says": "{free} de {total} están libres.",
        "queue": "Cola",
        "no_runs": "No hay nada en curso y nadie espera.",
        "users": "Usuarios",
        "place": "Lugar",
        "user": "Usuario",
        "state": "Estado",
        "model": "Modelo",
        "progress": "Progreso",
        "since": "Desde hace",
        "role": "Papel",
        "sessions": "Sesiones",
        "bytes": "En el disco",
        "local": "el usuario de esta máquina",
        "queued": "en espera",
        "running": "en curso",
        "frames": "{done} de {total} fotogramas · {rate}/s",
        "minutes": "{minutes} min",
        "cancel": "Cancelar",
        "admin": "administra",
        "member": "usa",
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

# Formats whose label says more than names.
_FORMATS: dict[str, dict[str, str]] = {
    "es": {
        "webp": "WebP · animado",
        "png": "Secuencia PNG",
        "matte": "Máscara sola · MP4 H.264",
        "matte-lossless": "Máscara sola · MKV FFV1",
        "pair": "Primer plano y máscara · MP4 H.264",
    },
}

# Languages that write 3,2 for 3.2.
_DECIMAL_COMMA = {"es"}

_RESTRICTIONS: dict[str, dict[str, str]] = {
    "es": {
        "rmbg": "Los pesos de RMBG-1.4 son solo para uso no comercial, salvo acuerdo con BRIA.",
    },
}


def translate_purpose(language: str, model: str, english: str) -> str:
    """What a model is for: in the language where it was told, else as its card has it."""
    return _PURPOSES.get(language, {}).get(model, english)


def translate_format_name(language: str, format: str, english: str) -> str:
    """What a format is called: in the language where it was told, else as its entry has it."""
    return _FORMATS.get(language, {}).get(format, english)


def translate_restriction(language: str, model: str, english: str) -> str:
    """What a model's licence forbids: in the language where it was told, else as its card has it."""
    return _RESTRICTIONS.get(language, {}).get(model, english)


def translate(language: str, key: str, **fields: object) -> str:
    """The page's text in a language of the table, or in English."""
    return PAGE.get(language, PAGE["en"])[key].format(**fields)


def translate_access(language: str, key: str, **fields: object) -> str:
    """What is said before the page, in a language of the table, or in English."""
    return ACCESS.get(language, ACCESS["en"])[key].format(**fields)


def translate_admin(language: str, key: str, **fields: object) -> str:
    """What the admins' page says, in a language of the table, or in English."""
    return ADMIN.get(language, ADMIN["en"])[key].format(**fields)


def negotiate_language(accepted: str | None) -> str:
    """The first language of an Accept-Language header that the table has; English where none is."""
    for entry in (accepted or "").split(","):
        code = entry.split(";")[0].strip().lower().split("-")[0]
        if code in PAGE:
            return code
    return "en"


def format_number(value: float, language: str = "en", digits: int = 1) -> str:
    """With so many decimals, by the sign that the language puts before them."""
    written = f"{value:.{digits}f}"
    return written.replace(".", ",") if language in _DECIMAL_COMMA else written


def format_duration(seconds: float, language: str = "en") -> str:
    """3.2 s, 4:05 min or 1:02:03 h."""
    if seconds < 59.95:
        return f"{format_number(seconds, language)} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} h" if hours else f"{minutes}:{rest:02} min"


def format_estimate(seconds: float) -> str:
    """15 s, 2 min, 3 h: as one tells a time that is only guessed."""
    if seconds < 57:
        return f"{max(5, 5 * round(seconds / 5))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{round(minutes / 60)} h"


def format_size(count: int, language: str = "en") -> str:
    """A number of bytes as a person says it."""
    if count < 1_000_000:
        return f"{max(1, round(count / 1000))} kB"
    if count < 1_000_000_000:
        return f"{format_number(count / 1e6, language)} MB"
    return f"{format_number(count / 1e9, language)} GB"
