"use strict";(()=>{try{let e=localStorage.getItem("mmscope-theme");(e==="light"||e==="dark")&&(document.documentElement.dataset.theme=e)}catch{}})();
